"""Step through all chapters in a real JupyterLab, as a reader does: Run All in number order, save, and ask git.

python tests/walk_lab.py [--after quick nothing] [--chapters 01 02]

Needs Playwright, which `make test-hand` installs, and Chromium (Debian: chromium; else CHROMIUM=/path/to/it). Works in a
clone of the last commit, in a temporary folder. Prints a line a chapter; screenshots go to runs/hand.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()
READY = (
    "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.isReady && window.jupyterapp.shell.currentWidget.content"
)
STATE = """() => {
  const panel = window.jupyterapp.shell.currentWidget, cells = panel.content.widgets.filter(c => c.model.type === 'code');
  const error = o => o.output_type === 'error', outputs = cells.flatMap(c => c.model.outputs.toJSON());
  return {idle: panel.sessionContext.session?.kernel?.status === 'idle',
          waiting: cells.filter(c => c.promptNode?.textContent?.includes('*')).length,
          run: cells.filter(c => c.model.executionCount !== null).length, cells: cells.length,
          pictures: outputs.filter(o => o.data && o.data['image/png']).length,
          said: outputs.filter(o => o.name === 'stdout').map(o => [].concat(o.text).join('')).join(''),
          error: outputs.filter(error).map(o => o.ename + ': ' + o.evalue)[0] || ''};
}"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def checkout(folder: Path, *, quick: bool) -> Path:
    """A clone that uses this environment; with the quick run of this checkout, made when there is none."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    if quick:
        run = ROOT / "runs/quick/sp500_logret"
        if not (run / "published.json").exists():
            subprocess.run(["make", "quick"], cwd=ROOT, check=True)
        shutil.copytree(run, clone / "runs/quick/sp500_logret")
    return clone


class Lab:
    """`make lab` in a clone, without opening a browser of its own."""

    def __init__(self, clone: Path, folder: Path):
        self.token, self.port = secrets.token_hex(8), free_port()
        settings = {
            "ServerApp": {"open_browser": False, "port": self.port, "port_retries": 0, "allow_root": True},
            "IdentityProvider": {"token": self.token},
            "LabApp": {"expose_app_in_browser": True, "news_url": None},
        }
        (folder / "jupyter_server_config.json").write_text(json.dumps(settings))
        environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_PREFER_ENV_PATH": "0"}
        environment |= {"PYTHONPATH": str(clone), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
        command = ["make", "--silent", "-o", ".venv/installed", "lab"]
        log = (folder / "lab.log").open("w")
        self.process = subprocess.Popen(command, cwd=clone, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={self.token}", timeout=2)
                return
            except OSError:
                time.sleep(0.5)
        raise TimeoutError("JupyterLab does not answer")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=30)


def run_all(page: Page, url: str, chapter: str, pictures: Path, limit: float) -> dict:
    """Open a chapter, Run All, save; returns what the page showed at the end, and the minutes until then."""
    page.goto(url)
    page.wait_for_function(READY, timeout=120_000)
    page.click("text=Run >> nth=0")
    page.click("text=/^Run All Cells$/")
    started, state = time.perf_counter(), {}
    while time.perf_counter() - started < limit:
        time.sleep(1)
        state = page.evaluate(STATE)
        if state["idle"] and not state["waiting"] and (state["error"] or state["run"] == state["cells"]):
            break
    state["minutes"] = (time.perf_counter() - started) / 60
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.locator(".jp-Cell").first.scroll_into_view_if_needed()
    page.screenshot(path=pictures / f"{chapter}_head.png")
    errors = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")
    figures = page.locator(".jp-RenderedImage img")
    shown = errors.last if state["error"] else figures.last if figures.count() else page.locator(".jp-Cell").last
    if shown.count():
        shown.scroll_into_view_if_needed()
    page.screenshot(path=pictures / f"{chapter}_end.png")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    return state


def walk(after: str, chapters: list[str], limit: float) -> list[str]:
    """One walk; returns what is wrong."""
    pictures = ROOT / "runs/hand" / f"after_{after}"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    wrong = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        clone = checkout(folder, quick=after == "quick")
        lab = Lab(clone, folder)
        program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1300, "height": 1100})
            for chapter in chapters:
                url = f"http://127.0.0.1:{lab.port}/lab/tree/{chapter}.ipynb?reset&token={lab.token}"
                state = run_all(page, url, chapter, pictures, limit)
                line = f"{chapter}: {state['minutes']:.1f} min, {state['run']} of {state['cells']} cells"
                line += f", {state['pictures']} figures"
                print(line + (f", {state['error'].splitlines()[0]}" if state["error"] else ""), flush=True)
                for said in re.findall(r"^(?:short|read from|left out).*", state["said"], flags=re.M):
                    print(f"    {said}", flush=True)
                helped = after == "nothing" and state["error"].startswith("MissingArtefact: not run yet")
                if (state["error"] and not helped) or (not state["error"] and state["run"] < state["cells"]):
                    wrong.append(f"{chapter} after {after}: {state['error'] or 'did not end in time'}")
        finally:
            browser.close()
            lab.stop()
        status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
        print(f"git status after saving all of them: {status.stdout or 'nothing'}", flush=True)
        if status.stdout.replace("?? .venv\n", ""):
            wrong.append(f"git shows {status.stdout}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--after", nargs="*", choices=["quick", "nothing"], default=["quick", "nothing"])
    parser.add_argument("--chapters", nargs="*", default=[], help="numbers, such as 01 02; all without any")
    parser.add_argument("--limit", type=float, default=900, help="seconds a chapter may take")
    options = parser.parse_args()
    names = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    chapters = [name for name in names if not options.chapters or name[:2] in options.chapters]
    wrong = []
    for after in options.after:
        print(f"\nafter {'a quick run' if after == 'quick' else 'nothing'}", flush=True)
        wrong += walk(after, chapters, options.limit)
    print("\n".join(["", *wrong] if wrong else ["", "every chapter works, or names what to run first"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
