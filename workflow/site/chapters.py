"""Executed notebooks as pages: nbconvert walks through the cells, a template of our own says what each becomes."""

import ast
import base64
import functools
import json
import re
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from nbconvert import TemplateExporter

from workflow.site.places import Site, alternative, captions, contents, relative
from workflow.site.prose import code_block, picture, render, scrolling

TEMPLATES = Path(__file__).parent / "templates"
NAMED = re.compile(r'\.figure\(f?"(\w+(?:\{VARIANT\})?)"\)')
CAPTION = re.compile(r"`(fig\w+)`")  # how the caption under a figure begins
WIDGET = "application/vnd.jupyter.widget-view+json"  # a control that needs a kernel; there is none here


def nodes(site: Site) -> dict[str, list[str]]:
    """Stage -> its executed notebooks, the one that README links first. Raises LookupError where that one is missing."""
    found = {}
    for chapter in contents(site):
        names = sorted(path.stem for path in site.executed.glob(f"{chapter['stage']}*.ipynb"))
        names = [name for name in names if name.split(".")[0] == chapter["stage"]]
        if chapter["node"] not in names:
            raise LookupError(f"{site.executed} lacks {chapter['node']}.ipynb, which README links")
        found[chapter["stage"]] = [chapter["node"], *(name for name in names if name != chapter["node"])]
    return found


def neighbours(node: str, stages: dict[str, list[str]]) -> tuple[str | None, str | None]:
    """The chapters before and after: of the same variant where there is one, else the one that README links."""
    order = list(stages)
    at = order.index(node.split(".")[0])

    def nearest(index: int) -> str | None:
        if not 0 <= index < len(order):
            return None
        same = f"{order[index]}.{node.partition('.')[2]}"
        return same if same in stages[order[index]] else stages[order[index]][0]

    return nearest(at - 1), nearest(at + 1)


def variant_of(cells: list[dict]) -> str:
    """VARIANT of the injected parameters, empty for a chapter without variants."""
    for cell in cells:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            found = re.search(r"^VARIANT = (.+)$", "".join(cell["source"]), flags=re.M)
            return ast.literal_eval(found[1]) if found else ""
    return ""


def figure_names(source: str, variant: str) -> list[str]:
    """Names under which a cell saves its figures, in their order."""
    return [name.replace("{VARIANT}", variant) for name in NAMED.findall(source)]


def drawn(site: Site, node: str) -> list[str]:
    """Names of all figures of an executed notebook, in the order in which it draws them."""
    cells = json.loads((site.executed / f"{node}.ipynb").read_text(encoding="utf-8"))["cells"]
    variant = variant_of(cells)
    return [name for cell in cells for name in figure_names("".join(cell["source"]), variant)]


def page(site: Site, node: str) -> tuple[str, list[tuple[int, str, str]]]:
    """HTML of a chapter without the frame of the page, and its headings as (level, anchor, HTML)."""
    source, to, headings = f"notebooks/executed/{node}.ipynb", f"chapters/{node}.html", []
    notebook = nbformat.read(site.executed / f"{node}.ipynb", as_version=4)
    variant, known = variant_of(notebook.cells), captions(site)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            place_pictures(cell, figure_names(cell.source, variant), known, site, to, f"{node}_{number}")
            cell.outputs = [tidy(output) for output in joined(cell.outputs) if WIDGET not in output.get("data", {})]
    exporter().register_filter("markdown2html", lambda text: render(text, site, source, to, headings))
    html, _ = exporter().from_notebook_node(notebook)
    return html, headings


@functools.cache
def exporter() -> TemplateExporter:
    """nbconvert with our template, without JupyterLab's style sheets and without a second parsing of the page."""
    made = TemplateExporter(template_name="chapter", extra_template_basedirs=[str(TEMPLATES)], file_extension=".html")
    made.config.NbConvertBase.display_data_priority = ["image/png", "text/html", "text/markdown", "text/plain"]
    made.register_filter("source2html", code_block)
    return made


def place_pictures(cell, names: list[str], known: dict[str, str], site: Site, to: str, fallback: str) -> None:
    """Write into each output with a picture the HTML that shows it: the published figure, or a file of its own.

    The name of a figure is in the caption under it, else in the source of the cell.
    """
    pictures = [at for at, output in enumerate(cell.outputs) if "image/png" in output.get("data", {})]
    names = names if len(names) == len(pictures) else [""] * len(pictures)
    for number, (at, name) in enumerate(zip(pictures, names, strict=True)):
        output, under = cell.outputs[at], cell.outputs[at + 1].get("data", {}) if at + 1 < len(cell.outputs) else {}
        captioned = CAPTION.match(under.get("text/markdown", ""))
        name = captioned[1] if captioned else name
        if captioned:
            under["text/markdown"] = CAPTION.sub(r"[`\1`](../../figures/paper/\1.png)", under["text/markdown"], count=1)
        if (site.figures / f"{name}.png").exists():
            output.metadata["html"] = picture(name, alternative(name, known.get(name, "")), to, site, note=not captioned)
            continue
        file = f"figures/drawn/{fallback}_{number}.png"
        (site.to / file).parent.mkdir(parents=True, exist_ok=True)
        (site.to / file).write_bytes(base64.b64decode(output.data["image/png"]))
        marked = re.search(r'pipeline_map\("(\d\d)_', cell.source)
        alt = f"Map of the chapters; chapter {marked[1]} is marked" if marked else "A picture of this chapter"
        output.metadata["html"] = f'<img src="{relative(file, to)}" alt="{alt}" loading="lazy" decoding="async">'


def joined(outputs: list) -> list:
    """Outputs with what was printed in one go as one, though a kernel sends it line by line."""
    kept = []
    for output in outputs:
        if (
            kept
            and output.output_type == "stream"
            and (kept[-1].output_type, kept[-1].get("name")) == ("stream", output.name)
        ):
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def tidy(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Tables without pandas' own style, in a box that scrolls; shown source code as text that the page colours."""
    data = output.get("data", {})
    if "text/latex" in data and "text/html" in data:  # what IPython's Code displays
        data["text/html"] = code_block(data["text/plain"])
    elif "<table" in data.get("text/html", ""):
        soup = BeautifulSoup(data["text/html"], "html.parser")
        for table in soup.find_all("table"):
            table.attrs = {"class": "data"}
            for cell in table.find_all(["tr", "th", "td"]):
                cell.attrs = {key: value for key, value in cell.attrs.items() if key in ("rowspan", "colspan")}
            for cell in table.select("tbody th"):
                cell.attrs["scope"] = "row"
            for cell in table.select("thead th"):
                if not cell.get_text(strip=True):
                    cell.name = "td"
        data["text/html"] = "".join(scrolling(str(table)) for table in soup.find_all("table"))
    return output
