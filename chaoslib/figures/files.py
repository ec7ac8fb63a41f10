"""Figures as files: PDF with embedded fonts and without dates, and PNG beside it."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from chaoslib.pipeline.files import whole_file


def save(figure: Figure, path: Path | None) -> Figure:
    """Write a figure as `path` with .pdf and .png appended, and return it, to be shown inline; None writes nothing."""
    if path is None:
        return figure
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {})):
        fonts = mpl.rc_context({"pdf.fonttype": 42})  # TrueType, embedded and editable
        with fonts, whole_file(path.with_name(path.name + suffix)) as partial:
            figure.savefig(partial, format=suffix[1:], metadata=metadata, dpi=200)
    return figure
