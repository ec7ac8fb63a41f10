"""Figures as files: PDF with embedded fonts and without dates, and PNG beside it."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from chaoslib import figures
from chaoslib.figures.record import read_data, save_data
from chaoslib.figures.style import own_settings, page
from chaoslib.pipeline.files import whole_file

SUFFIXES = ("pdf", "png")


def save(figure: Figure, path: Path | None) -> Figure:
    """Write a figure as `path` with .pdf and .png appended, and return it, to be shown inline; None writes nothing.

    The data behind it go to the folder `figdata` beside that of the figure, as `record.save_data` says. Of a path that
    `runs.Run.figure` gives, the caption names the market and the seeds.
    """
    if path is not None:
        figure.name, figure.about = path.name, getattr(path, "about", {})
        export(figure, path, SUFFIXES)
        save_data(figure, path.parent.parent / "figdata" / path.name)
    return figure


def export(figure: Figure, path: Path, suffixes: tuple[str, ...]) -> None:
    """Write a figure in some formats that matplotlib knows, without dates. Raises ValueError for an unknown format."""
    known = figure.canvas.get_supported_filetypes()
    if unknown := [suffix for suffix in suffixes if suffix not in known]:
        raise ValueError(f"no figure format {', '.join(unknown)}: matplotlib writes {', '.join(sorted(known))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "ps": {"CreationDate": None}}
    settings = {"pdf.fonttype": 42, "svg.hashsalt": path.name}  # TrueType, embedded and editable; stable ids
    for suffix in suffixes:
        with own_settings(), mpl.rc_context(settings), whole_file(path.with_name(f"{path.name}.{suffix}")) as partial:
            figure.savefig(partial, format=suffix, metadata=undated.get(suffix, {}), dpi=200)


def redraw(path: Path | str, *, width: float | None = None, about: dict | None = None) -> Figure:
    """Draw a figure again from the data that `save` wrote at `path`, a file of `figdata` without suffix.

    width : of the page, in inches; None: as designed; about : of the run, for the caption, as `artefacts.Artefact.about`
    Raises ValueError when no function of this package drew it.
    """
    name, arguments = read_data(Path(path))
    draw = getattr(figures, name, None)
    if not hasattr(draw, "__wrapped__"):
        raise ValueError(f"{path}.json names {name}, which is no figure of this package")
    with page(width):
        figure = draw(**arguments)
    figure.name, figure.about = Path(path).name, about or {}
    return figure
