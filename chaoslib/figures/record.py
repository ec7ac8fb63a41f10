"""The data behind a figure, as files: enough to draw it again, here or in another tool.

`<name>.json` says which function drew the figure and with which arguments, `<name>.npz` holds their arrays, exactly;
`<name>.csv` holds what is seen, in the units of the axes and without lines of reference: one row a point.
"""

import datetime
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryLocator
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.container import BarContainer
from matplotlib.dates import DateLocator, num2date
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from chaoslib.pipeline.files import write

COLUMNS = ["panel", "item", "series", "colour", "line", "kind", "x", "y", "value"]


def save_data(figure: Figure, path: Path) -> None:
    """Write what a figure of this package shows as `path` with .csv appended, and what it was drawn from as .json and .npz.

    A figure that another function drew has the .csv alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path.with_name(f"{path.name}.csv"), seen(figure))
    for suffix in ("json", "npz"):  # of another figure that had this name
        path.with_name(f"{path.name}.{suffix}").unlink(missing_ok=True)
    if getattr(figure, "drawn_by", ""):
        arrays: dict[str, np.ndarray] = {}
        arguments = {key: plain(value, key, arrays) for key, value in figure.drawn_from.items()}
        write(path.with_name(f"{path.name}.npz"), arrays)
        described = {"function": figure.drawn_by, "arguments": arguments, "caption": figure.caption}
        write(path.with_name(f"{path.name}.json"), described)


def read_data(path: Path) -> tuple[str, dict[str, object]]:
    """Name of the drawing function and its arguments, of what `save_data` wrote at `path` without suffix."""
    described = json.loads(path.with_name(f"{path.name}.json").read_text(encoding="utf-8"))
    with np.load(path.with_name(f"{path.name}.npz"), allow_pickle=False) as archive:
        arrays = dict(archive)
    return described["function"], {key: restored(value, arrays) for key, value in described["arguments"].items()}


def plain(value, name: str, arrays: dict[str, np.ndarray]):
    """A value as JSON can hold it; arrays and columns go to `arrays` under a name that says where they belong.

    Raises TypeError for what would not come back as it was.
    """
    if isinstance(value, pd.DataFrame):
        if value.columns.has_duplicates or not all(isinstance(column, str) for column in value):
            raise TypeError(f"{name}: a table of a figure needs columns with names of their own")
        columns = {column: plain(value[column], f"{name}/{column}", arrays) for column in value}
        return {"table": columns, "index": plain(value.index, f"{name}/(index)", arrays)}
    if isinstance(value, np.ndarray | pd.Series | pd.Index) and not isinstance(value, np.ma.MaskedArray | pd.MultiIndex):
        array = np.asarray(value)
        if array.dtype == object and not all(isinstance(each, str) for each in array.ravel()):
            return plain(array.tolist(), name, arrays)
        return {"array": added(array.astype(str) if array.dtype == object else array, name, arrays)}
    if isinstance(value, dict):
        named = {key: "_".join(map(str, key)) if isinstance(key, tuple) else f"{key}" for key in value}
        return {
            "dict": [
                [plain(k, f"{name}/{named[k]}", arrays), plain(v, f"{name}/{named[k]}", arrays)] for k, v in value.items()
            ]
        }
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [plain(each, f"{name}/{number}", arrays) for number, each in enumerate(value)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, np.generic | datetime.date):
        return {"scalar": added(np.asarray(value if isinstance(value, np.generic) else np.datetime64(value)), name, arrays)}
    raise TypeError(f"{name}: a figure was drawn from a {type(value).__name__}, which its data cannot hold")


def added(array: np.ndarray, name: str, arrays: dict[str, np.ndarray]) -> str:
    """The name under which an array was added: its own, or one more where that is taken."""
    while name in arrays:
        name += "'"
    arrays[name] = array
    return name


def restored(value, arrays: dict[str, np.ndarray]):
    """What `plain` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content), *more) = value.items()
    if kind in ("array", "scalar"):
        return arrays[content][()] if kind == "scalar" else arrays[content]
    if kind == "float":
        return float(content)
    if kind == "table":
        columns = {column: restored(each, arrays) for column, each in content.items()}
        return pd.DataFrame(columns, index=restored(more[0][1], arrays))
    if kind == "dict":
        return {restored(key, arrays): restored(each, arrays) for key, each in content}
    items = [restored(each, arrays) for each in content]
    return tuple(items) if kind == "tuple" else items


def seen(figure: Figure) -> pd.DataFrame:
    """What a figure shows: lines, points, bands, bars and maps of every panel, a row a point; not its lines of reference.

    item : number of a line, a cloud of points, a band, a bar or a map in its panel; its rows are in the order of drawing.
    A band is its outline, a bar two opposite corners, a map the middle of its cells with their `value`.
    A series without a name of its own in a panel has its colour, by which other panels or the legend name it. Positions
    that the axis names have that name, days are ISO dates.
    """
    parts = [pd.DataFrame(columns=COLUMNS)]
    for number, axis in enumerate(axis for axis in figure.axes if axis.get_label() != "<colorbar>"):
        panel = axis.get_title(loc="left") or axis.get_xlabel() or f"panel {number + 1}"
        groups = [container for container in axis.containers if isinstance(container, BarContainer)]
        groups = {bar: group.get_label() for group in groups for bar in group}
        for item, (kind, artist, points, values) in enumerate(shapes(axis), 1):
            label = groups.get(artist, artist.get_label())
            place = {"x": named(axis.xaxis, points[:, 0]), "y": named(axis.yaxis, points[:, 1])}
            part = pd.DataFrame(place | {"value": np.nan if values is None else values})
            part = part.assign(panel=f"{number + 1}: {panel}", series="" if label.startswith("_") else label, kind=kind)
            line = artist.get_linestyle() if kind == "line" else ""
            parts.append(part.assign(item=item, colour=colour_of(artist), line=line)[COLUMNS])
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def named(axis: Axis, positions: np.ndarray) -> np.ndarray | list[str]:
    """Positions along an axis as its labels say them: days, the names of a category, or numbers as they are."""
    if isinstance(axis.get_major_locator(), DateLocator):
        return [f"{day:%Y-%m-%d}" for day in num2date(positions)]
    ticks = np.asarray(axis.get_ticklocs())
    fixed = FixedLocator | StrCategoryLocator
    is_named = isinstance(axis.get_major_locator(), fixed)  # asked of the formatter: shared axes hide their labels
    texts = axis.get_major_formatter().format_ticks(ticks) if is_named else []
    if any(text and text != f"{tick:g}" for text, tick in zip(texts, ticks, strict=bool(texts))):
        return [texts[int(np.abs(ticks - position).argmin())].replace("\n", " ") for position in positions]
    return positions


def colour_of(artist) -> str:
    """The one colour of an artist, as #rrggbb; empty where it has none or many."""
    for name in ("get_color", "get_facecolor", "get_edgecolor"):
        colours = to_rgba_array(getattr(artist, name)()) if hasattr(artist, name) else []
        if len(colours) == 1 and colours[0][3] > 0 and to_hex(colours[0]) != "#ffffff":  # hollow: its edge has the colour
            return to_hex(colours[0])
    return ""


def shapes(axis):
    """(kind, artist, points (n, 2), values (n,) or None) of everything that is drawn in a panel's own units."""
    for line in axis.lines:
        if line.get_transform().contains_branch(axis.transData):
            points = np.column_stack([line.get_xdata(orig=False), line.get_ydata(orig=False)])
            yield "point" if line.get_linestyle() == "None" else "line", line, points, None
    for group in axis.collections:
        array = group.get_array()
        if hasattr(group, "get_coordinates"):  # a map of rectangles
            corners = group.get_coordinates()
            yield "map", group, ((corners[1:, 1:] + corners[:-1, :-1]) / 2).reshape(-1, 2), np.ravel(array)
        elif len(group.get_offsets()) and group.get_offset_transform().contains_branch(axis.transData):
            points = np.asarray(group.get_offsets(), dtype=float)
            yield "point", group, points, array if array is not None and len(array) == len(points) else None
        else:
            for path in group.get_paths():
                yield "band", group, path.vertices, None
    for patch in axis.patches:
        if patch.get_transform().contains_branch(axis.transData):
            vertices = patch.get_path().vertices if not hasattr(patch, "get_bbox") else patch.get_bbox().get_points()
            yield "outline" if hasattr(patch, "get_data") else "bar", patch, vertices, None
    for image in axis.images:
        table = np.asarray(image.get_array())
        y, x = np.indices(table.shape)
        yield "map", image, np.column_stack([x.ravel(), y.ravel()]), table.ravel()
