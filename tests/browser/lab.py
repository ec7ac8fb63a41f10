"""All chapters in a real JupyterLab, as a reader steps through them: Run All, move sliders and menus, save, ask git."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Locator, Page, TimeoutError

from tests.browser.watching import browser, new_page, told

ROOT = Path(__file__).resolve().parents[2]
BY_HAND = "if run.by_hand:"  # before the controls of a chapter, which a run by make leaves out
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # else it asks, over the pictures
    "docmanager-extension/plugin": {
        "autosave": False
    },  # git's filter may keep a busy server for minutes: saved once, at the end
}
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
ENDED = f"() => {{ const s = ({STATE})(); return s.idle && !s.waiting && (s.error || s.run === s.cells); }}"
TO_CONTROLS = """() => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const isControl = output => output.data?.['application/vnd.jupyter.widget-view+json'];
  const cell = notebook.widgets.findLast(c => c.model.type === 'code' && c.model.outputs.toJSON().some(isControl));
  return cell && notebook.scrollToCell(cell, 'start').then(() => true);
}"""
CHANGED = """([box, before]) => {
  const picture = box.querySelector('.jp-RenderedImage img'), panel = window.jupyterapp.shell.currentWidget;
  const isAtRest = panel.sessionContext.session?.kernel?.status === 'idle'; // a slider may draw on its way, too
  return isAtRest && picture && picture.complete && picture.src !== before;
}"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def checkout(folder: Path, run: Path | None) -> Path:
    """A clone of the last commit that uses this environment, with a copy of a finished quick run if one is given."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    if run:
        shutil.copytree(run, clone / "runs/quick/sp500_logret")
    return clone


def quick_run(runs: str) -> Path:
    """The quick run in a folder of runs, made when there is none."""
    run = ROOT / runs / "quick/sp500_logret"
    if not (run / "published.json").exists():
        subprocess.run(["make", "quick", f"RUNS={runs}"], cwd=ROOT, check=True)
    return run


@contextmanager
def jupyterlab(clone: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """`make lab` in a clone, without opening a browser of its own. Its address, and its token as part of an address."""
    token, port = secrets.token_hex(8), free_port()
    settings = {
        "ServerApp": {"open_browser": False, "port": port, "port_retries": 0, "allow_root": True},
        "IdentityProvider": {"token": token},
        "LabApp": {"expose_app_in_browser": True, "news_url": None},
    }
    (folder / "jupyter_server_config.json").write_text(json.dumps(settings))
    for name, values in SETTINGS.items():
        path = folder / f"lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_PREFER_ENV_PATH": "0"}
    environment |= {"PYTHONPATH": str(clone), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    command, url = ["make", "--silent", "-o", ".venv/installed", "lab"], f"http://127.0.0.1:{port}"
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(command, cwd=clone, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until_it_answers(f"{url}/api?token={token}", process)
            yield url, f"token={token}"
            urllib.request.urlopen(urllib.request.Request(f"{url}/api/shutdown?token={token}", method="POST"), timeout=30)
            process.wait(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=30)


def wait_until_it_answers(url: str, process: subprocess.Popen) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.5)
    raise TimeoutError("JupyterLab does not answer")


def run_all(page: Page, url: str, pictures: Path, chapter: str, limit: float) -> dict:
    """Open a chapter and Run All; returns what the page showed at the end, and the minutes until then."""
    page.goto(url)
    page.wait_for_function(READY)
    page.click("text=Run >> nth=0")
    page.click("text=/^Run All Cells$/")
    started = time.perf_counter()
    with suppress(TimeoutError):  # the state says how far it came
        page.wait_for_function(ENDED, polling=1000, timeout=limit * 1000)
    state = page.evaluate(STATE) | {"minutes": (time.perf_counter() - started) / 60}
    page.locator(".jp-Cell").first.scroll_into_view_if_needed()
    page.screenshot(path=pictures / f"{chapter}_head.png")
    errors = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")
    figures = page.locator(".jp-RenderedImage img")
    shown = errors.last if state["error"] else figures.last if figures.count() else page.locator(".jp-Cell").last
    if shown.count():
        shown.scroll_into_view_if_needed()
    page.screenshot(path=pictures / f"{chapter}_end.png")
    return state


def move_controls(page: Page, picture: Path) -> tuple[list[str], list[str]]:
    """Move every slider and menu of the page once: lines about the new pictures, and what is wrong."""
    if not page.evaluate(TO_CONTROLS):
        return [], []
    box = page.locator(".widget-interact").last
    box.locator(".jp-RenderedImage img").wait_for()
    lines, wrong = [], []
    for control in box.locator(".widget-hslider, .widget-dropdown").all():
        control.scroll_into_view_if_needed()
        label, was = control.locator(".widget-label").inner_text(), reading(control)
        before = box.locator(".jp-RenderedImage img").get_attribute("src")
        released = move(page, control)
        try:
            page.wait_for_function(CHANGED, arg=[box.element_handle(), before])
            lines.append(f"{label}, {was} to {reading(control)}: a new picture after {time.perf_counter() - released:.1f} s")
        except TimeoutError:
            said = box.locator(".jp-OutputArea").or_(page.locator(".jp-Dialog-content")).all_inner_texts()
            wrong.append(f"{label}, {was} to {reading(control)}: the picture stays. {' '.join(said).strip()[-300:]}")
    box.scroll_into_view_if_needed()
    page.screenshot(path=picture)
    return lines, wrong


def reading(control: Locator) -> str:
    """What a control stands at, as it shows it."""
    menu = control.locator("select")
    if menu.count():
        return menu.evaluate("menu => menu.selectedOptions[0].text")
    return control.locator(".widget-readout").inner_text()


def move(page: Page, control: Locator) -> float:
    """Choose the next entry of a menu, or drag a slider to its other side. Returns when it was let go."""
    menu = control.locator("select")
    if menu.count():
        index = menu.evaluate("menu => (menu.selectedIndex + 1) % menu.options.length")
        released = time.perf_counter()
        menu.select_option(index=index)
        return released
    handle, rail = control.locator(".noUi-handle").bounding_box(), control.locator(".noUi-base").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    is_left = x < rail["x"] + rail["width"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(rail["x"] + rail["width"] * (0.7 if is_left else 0.3), y, steps=5)
    released = time.perf_counter()
    page.mouse.up()
    return released


def walk(pictures: Path, chapters: list[str], limit: float, run: Path | None) -> list[str]:
    """One walk, after a finished quick run or after nothing; returns what is wrong."""
    names = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    wrong = []
    with tempfile.TemporaryDirectory() as name, browser() as chromium:
        folder = Path(name)
        clone = checkout(folder, run)
        with jupyterlab(clone, folder) as (url, token):
            page, heard = new_page(chromium, 1300, 1100)
            for chapter in names:
                if chapters and chapter[:2] not in chapters:
                    continue
                state = run_all(page, f"{url}/lab/tree/{chapter}.ipynb?reset&{token}", pictures, chapter, limit)
                line = f"{chapter}: {state['minutes']:.1f} min, {state['run']} of {state['cells']} cells"
                line += f", {state['pictures']} figures"
                print(line + (f", {state['error'].splitlines()[0]}" if state["error"] else ""), flush=True)
                said, faults = re.findall(r"^(?:short|read from|left out).*", state["said"], flags=re.M), []
                helped = run is None and state["error"].startswith("MissingArtefact: not run yet")
                if not helped and (state["error"] or state["run"] < state["cells"]):
                    faults = [state["error"] or "did not end in time"]
                elif not helped:
                    moved, faults = move_controls(page, pictures / f"{chapter}_controls.png")
                    said += moved
                    if BY_HAND in (clone / f"notebooks/{chapter}.ipynb").read_text() and not moved + faults:
                        faults = ["no controls"]
                page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
                page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
                print("".join(f"    {each}\n" for each in said), end="", flush=True)
                wrong += [f"{chapter}: {each}" for each in faults] + told(heard, chapter)
            page.close()
        changed, until = True, time.monotonic() + 90  # the hook of the last save may still be at work
        while changed and time.monotonic() < until:
            status = subprocess.run(
                ["git", "--no-optional-locks", "status", "--porcelain"],
                cwd=clone,
                capture_output=True,
                text=True,
                check=True,
            )
            changed = status.stdout.replace("?? .venv\n", "")
            time.sleep(1)
        print(f"git status after saving: {changed or 'nothing'}", flush=True)
        wrong += [f"git shows {changed}"] if changed else []
    return wrong
