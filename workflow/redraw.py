"""Draw the figures of a finished run again, from the data behind them: nothing is trained or sampled.

python workflow/redraw.py runs/paper/sp500_logret figures/redrawn --only fig07_fan --width 3.4 --format pdf svg
"""

import argparse
import fnmatch
import json
import logging
import sys
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from chaoslib import figures
from chaoslib.figures.files import SUFFIXES, export
from chaoslib.pipeline import artefacts, stages

ROOT = Path(__file__).resolve().parents[1]
log = logging.getLogger(__name__)


def recorded(run_dir: Path, seed: int) -> dict[str, artefacts.Artefact]:
    """Figure -> the finished stage that drew it, of one seed. Raises MissingArtefact when the run has none."""
    found = {}
    for node in stages.nodes(ROOT):
        folder = run_dir / stages.place(node, seed)
        if (folder / artefacts.SUMS).exists():
            artefact = artefacts.Artefact(folder)
            names = (Path(name) for name in artefact.sums if name.startswith("figdata/"))
            found |= {name.stem: artefact for name in names if name.suffix == ".json"}
    if not found or not (run_dir / f"seed{seed}").is_dir():
        raise artefacts.MissingArtefact(
            f"no figure data of seed {seed} in {run_dir}: run `make reproduce` first, or `make quick` and add PROFILE=quick"
        )
    return found


def chosen(names: list[str], patterns: list[str]) -> list[str]:
    """Names that match one of the patterns, all of them without any. Raises ValueError for a pattern without a match."""
    if unknown := [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]:
        raise ValueError(f"no figure {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, help="folder of one profile and dataset")
    parser.add_argument("to", type=Path, help="where the figures go")
    parser.add_argument("--seed", type=int, default=0, help="training seed of the figures that have one")
    parser.add_argument("--only", nargs="*", default=[], help="names without suffix, such as fig07_fan or 'fig11_*'")
    parser.add_argument("--width", type=float, help="of the page, in inches")
    parser.add_argument("--format", nargs="*", default=SUFFIXES, help="pdf, png, svg, eps, ...")
    options = parser.parse_args(arguments)
    if options.width is not None and not 1 <= options.width <= 50:
        raise ValueError(f"--width is {options.width:g}: give inches, such as 3.4 for one column")
    drawn_by = recorded(options.run_dir, options.seed)
    verified = set()
    started = time.perf_counter()
    names = chosen(sorted(drawn_by), options.only)
    for name in names:
        artefact = drawn_by[name]
        if artefact.folder not in verified:
            artefact.verify()
            verified.add(artefact.folder)
        begun = time.perf_counter()
        about = artefacts.subject(artefact.meta["params"], [options.run_dir])
        figure = figures.redraw(artefact.folder / "figdata" / name, width=options.width, about=about)
        export(figure, options.to / name, tuple(options.format or SUFFIXES))
        log.info("%s  %.1f s", name, time.perf_counter() - begun)
    log.info("%d figures in %s, %.1f s", len(names), options.to, time.perf_counter() - started)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    log.setLevel(logging.INFO)  # its own lines, not those of the fonts
    try:
        main()
    except (OSError, ValueError, json.JSONDecodeError, artefacts.StaleArtefact) as error:
        sys.exit(str(error))
