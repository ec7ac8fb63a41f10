"""What a reader sees, in a real browser: every chapter in JupyterLab with its sliders moved, and every page of the site.

python -m tests.browser [--only lab site nothing] [--chapters 07 11] [--runs runs]

lab: Run All in number order after a quick run, in a clone of the last commit in a temporary folder; then sliders and menus
nothing: the same with nothing run before, where a chapter may stop and name what to run first; only when it is asked for
site: what `make site` renders, in two widths and two colour schemes, with axe-core on some pages

Fails on an error of a cell, a picture that stays as it was, an error on the console, a request that fails or leaves this
machine, a page that is too wide or too heavy, a picture without words, and on what axe-core calls serious or critical.
Screenshots go to runs/browser. Needs what `make test-browser` installs, and Chromium (Debian: chromium; else
CHROMIUM=/path/to/it).
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.browser import lab, pages
from workflow.site.printing import browser as chromium


def site_pages(folder: Path | None) -> Path:
    """The folder of the site, rendered anew where it is older than what it shows."""
    if folder is None:
        subprocess.run(["make", "--silent", "site"], cwd=lab.ROOT, check=True)
    return folder or lab.ROOT / "site"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=["lab", "site", "nothing"], default=["lab", "site"], help="parts")
    parser.add_argument(
        "--chapters", nargs="+", default=[], help="numbers, such as 07 11, of lab and nothing; all without any"
    )
    parser.add_argument("--runs", default="runs", help="folder with the quick run, as RUNS of make")
    parser.add_argument("--site", type=Path, help="folder of a site that is there; else `make site` renders it")
    parser.add_argument("--limit", type=float, default=900, help="seconds a chapter may take")
    options = parser.parse_args()
    chromium()  # says at once when there is none
    wrong = []
    for part in options.only:
        pictures, started = lab.ROOT / "runs/browser" / part, time.perf_counter()
        shutil.rmtree(pictures, ignore_errors=True)
        pictures.mkdir(parents=True)
        print(f"\n{part}", flush=True)
        if part == "site":
            wrong += pages.look(site_pages(options.site), pictures)
        else:
            run = lab.quick_run(options.runs) if part == "lab" else None
            wrong += lab.walk(pictures, options.chapters, options.limit, run)
        print(f"{part}: {(time.perf_counter() - started) / 60:.1f} min, screenshots in {pictures}", flush=True)
    print("\n".join(["", f"{len(wrong)} faults", *wrong] if wrong else ["", "nothing to complain about"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
