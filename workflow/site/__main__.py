"""Render the published run into a site that is read without installing anything, and without a network.

python -m workflow.site site                                 from the folder of the repository
python -m workflow.site site --pdf 03 --variant mse          print a chapter of the site
"""

import argparse
import functools
import gzip
import logging
import shutil
from pathlib import Path

import jinja2

from workflow.site import chapters, mathematics, printing, shelves
from workflow.site.places import Site, contents, relative, section
from workflow.site.prose import code_block, render

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GUIDES = {  # in the order of the menu; the others follow
    "results": "Results",
    "recipes": "Recipes",
    "tables": "What the columns mean",
    "glossary": "Glossary",
}
LONG = 100  # rows; longer tables are shown in parts
log = logging.getLogger("site")


@functools.cache
def environment() -> jinja2.Environment:
    """Templates, compiled once."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def write_page(site: Site, page: str, title: str, template: str = "text", **content) -> None:
    """One page of the site. content : what the template shows; `headings` become the table of contents at its side"""
    aside = [(anchor, text) for level, anchor, text in content.get("headings", []) if level == 2]
    made = environment().get_template(f"{template}.html.j2")
    html = made.render(title=title, page=page, to=lambda target: relative(target, page), aside=aside, **content)
    path = site.to / page
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")


def copy_files(site: Site) -> None:
    """Style and script; figures and tables in every format for download."""
    (site.to / "assets").mkdir(parents=True)
    for path in (HERE / "assets").iterdir():
        shutil.copy(path, site.to / "assets")
    for name in ("figures", "tables", "guides"):
        (site.to / name).mkdir()
    shutil.copy(site.root / "guides/references.bib", site.to / "guides")
    for folder in (site.figures, site.root / "figures/walkforward"):
        for path in [*folder.glob("fig*.png"), *folder.glob("fig*.pdf")]:
            shutil.copy(path, site.to / "figures")
        for path in folder.glob("figdata/*.csv.gz"):
            (site.to / "figures" / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    for table in shelves.tables(site):
        for suffix in (".csv", ".tex") if table["has_tex"] else (".csv",):
            shutil.copy(table["path"].with_suffix(suffix), site.to / f"tables/{table['name']}{suffix}")
    for path in shelves.printed_tables(site):
        shutil.copy(path, site.to / "tables")


def write_index(site: Site, stages: dict[str, list[str]]) -> None:
    readme = (site.root / "README.md").read_text(encoding="utf-8")
    opening = readme.split("\n## ")[0].partition("\n")[2]
    parts = {"opening": opening, "verdict": section(readme, "The verdict"), "limits": section(readme, "Limits")}
    after = section(readme, "Read it").rpartition("|\n")[2]
    html = {name: render(text, site, "README.md", "index.html") for name, text in (*parts.items(), ("after", after))}
    title = readme.splitlines()[0].removeprefix("# ")
    write_page(site, "index.html", title, "index", chapters=contents(site), stages=stages, guides=guide_titles(site), **html)


def guide_titles(site: Site) -> dict[str, str]:
    """Guide -> its heading, in the order of the menu."""
    names = sorted(path.stem for path in (site.root / "guides").glob("*.md"))
    names = [*(name for name in GUIDES if name in names), *(name for name in names if name not in GUIDES)]
    return {
        name: (site.root / f"guides/{name}.md").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for name in names
    }


def write_chapters(site: Site, stages: dict[str, list[str]]) -> None:
    known = {chapter["stage"]: chapter for chapter in contents(site)}
    for stage, nodes in stages.items():
        for node in nodes:
            html, headings = chapters.page(site, node)
            before, after = chapters.neighbours(node, stages)
            links = [(link, known[link.split(".")[0]]["title"]) if link else None for link in (before, after)]
            variant = node.partition(".")[2]
            title = known[stage]["title"] + (f", {variant}" if variant else "")
            content = {"html": html, "headings": headings, "siblings": nodes if len(nodes) > 1 else [], "node": node}
            write_page(site, f"chapters/{node}.html", title, "chapter", before=links[0], after=links[1], **content)
            log.info("%s", title)


def write_texts(site: Site) -> None:
    """README and guides, then every source that some page has linked to."""
    texts = {"README.md": "readme.html"}
    texts |= {f"guides/{name}.md": f"guides/{name}.html" for name in guide_titles(site)}
    for source, page in texts.items():
        write_text(site, source, page)
    done = set()
    while waiting := set(site.opened) - done:
        for source in sorted(waiting):
            write_text(site, source, site.opened[source])
        done |= waiting


def write_text(site: Site, source: str, page: str) -> None:
    text, headings = (site.root / source).read_text(encoding="utf-8"), []
    if source.endswith(".md"):
        html = render(text, site, source, page, headings)
        write_page(site, page, text.splitlines()[0].removeprefix("# "), html=html, headings=headings)
    else:
        html = f"<h1>{Path(source).name}</h1>\n<p><code>{source}</code></p>\n{code_block(text, file=source)}"
        write_page(site, page, source, html=html)


def write_tables(site: Site) -> None:
    found = shelves.tables(site)
    for table in found:
        page = f"tables/{table['name']}.html"
        for part in ("row", "words"):
            text = "" if table.get(part, "").strip(". ") in ("–", "see below") else table.get(part, "")
            table[part] = render(text, site, "guides/tables.md", page).removeprefix("<p>").removesuffix("</p>\n")
        write_page(site, page, f"Table {table['name']}", "table", table=table, part=LONG)
    printed = [path.name for path in shelves.printed_tables(site)]
    write_page(site, "tables/index.html", "Tables", "tables", tables=found, printed=printed)


def write_gallery(site: Site) -> None:
    shown = shelves.gallery(site)
    has_data = any("CSV" in figure["files"] for shelf in shown for figure in shelf["figures"])
    write_page(site, "gallery.html", "Figures", "gallery", shelves=shown, thumb=shelves.THUMB, has_data=has_data)


def build(site: Site) -> None:
    """Render everything into an empty folder. Raises FileExistsError for a folder that holds something else."""
    if site.to.exists() and any(site.to.iterdir()) and not (site.to / "assets/style.css").exists():
        raise FileExistsError(f"{site.to} holds something else than a site: remove it, or name another folder")
    shutil.rmtree(site.to, ignore_errors=True)
    copy_files(site)
    stages = chapters.nodes(site)
    write_index(site, stages)
    write_chapters(site, stages)
    write_gallery(site)
    write_tables(site)
    write_page(site, "guides/references.html", "References", "references", works=shelves.bibliography(site))
    write_texts(site)
    log.info("%d formulas", mathematics.set_pages(site.to))
    log.info("%d pages: open %s", len(list(site.to.rglob("*.html"))), site.to / "index.html")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("to", type=Path, help="folder of the site; what was rendered there before is replaced")
    parser.add_argument("--figures", type=Path, default=ROOT / "figures/paper", help="published figures and tables")
    parser.add_argument("--executed", type=Path, default=ROOT / "notebooks/executed", help="executed notebooks")
    parser.add_argument("--pdf", metavar="CHAPTER", help="print a chapter, such as 03, of a site that is there")
    parser.add_argument("--variant", default="", help="of the chapter that is printed; the one README links without it")
    options = parser.parse_args(arguments)
    site = Site(ROOT, options.figures.resolve(), options.executed.resolve(), options.to)
    if options.pdf is not None:
        printing.print_chapter(site, chapters.nodes(site), options.pdf, options.variant)
    else:
        build(site)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("traitlets").setLevel(logging.WARNING)
    main()
