"""Where each file of the repository stands in the site, and what a link between them becomes."""

import html
import json
import posixpath
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

TEXTS = (".md", ".py", ".yaml", ".yml", ".toml", ".json", ".cff", ".txt", ".bib", ".csv", ".tex")
FIGURE = re.compile(r"figures/\w+/(fig\w+)\.(?:png|pdf)")
TABLE = re.compile(r"figures/(\w+)/tables/(\w+)\.(?:csv|tex)")


@dataclass(frozen=True)
class Site:
    """What is rendered, and into which folder. `opened` fills while pages are made: sources that they link to."""

    root: Path  # the repository
    figures: Path  # published figures, with tables/ and captions.json
    executed: Path  # executed notebooks
    to: Path
    opened: dict[str, str] = field(default_factory=dict)


def resolve(target: str, source: str) -> str:
    """Path in the repository of a link that stands in the file `source`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(target)))


def page_of(path: str, site: Site) -> str | None:
    """Page of the site, with its anchor, for a path of the repository; None when the site has nothing to show for it.

    A text file without a page of its own gets one: it is noted in `site.opened`.
    """
    fixed = {
        "README.md": "readme.html",
        "guides/references.bib": "guides/references.html",
        "notebooks": "index.html#chapters",
        "notebooks/executed": "index.html#chapters",
        "figures/paper": "gallery.html",
        "figures/paper/tables": "tables/index.html",
        "figures/walkforward/tables": "tables/index.html",
    }
    if path in fixed:
        return fixed[path]
    if found := FIGURE.fullmatch(path):
        return f"gallery.html#{found[1]}"
    if found := TABLE.fullmatch(path):
        return f"tables/{table_name(found[1], found[2])}.html"
    if path.startswith("guides/") and path.endswith(".md"):
        return path.removesuffix(".md") + ".html"
    if path.startswith("notebooks/") and path.endswith(".ipynb"):
        name = Path(path).stem
        return f"chapters/{name if '/executed/' in path else default_variants(site)[name]}.html"
    if path.endswith(TEXTS) and (site.root / path).is_file():
        return site.opened.setdefault(path, f"files/{path}.html")
    return None


def table_name(folder: str, name: str) -> str:
    """Tables of the paper keep their names; those of another folder of `figures` begin with it."""
    return name if folder == "paper" else f"{folder}_{name}"


def relative(target: str, page: str) -> str:
    """A link from one page of the site to another; anchors stay."""
    file, mark, place = target.partition("#")
    if file == page and mark:
        return f"#{place}"
    return posixpath.relpath(file, posixpath.dirname(page) or ".") + mark + place


def linked(target: str, source: str, page: str, site: Site, *, text: str = "") -> str | None:
    """What a link of the file `source` becomes on its page; None when nothing is there to lead to.

    text : of the link; a work that is cited leads to its entry in the bibliography
    """
    if re.match(r"[a-z]+:", target):
        return target
    file, _, place = target.partition("#")
    path = resolve(file, source) if file else source
    if path == "guides/references.bib" and not place:
        place = citation_key(text) if citation_key(text) in bibliography_keys(site) else ""
    found = page_of(path, site)
    if found is None:
        return None
    return relative(f"{found.partition('#')[0]}#{place}" if place else found, page)


def citation_key(text: str) -> str:
    """`Glosten et al. 1993` -> `glosten1993`, the key of the bibliography."""
    found = re.fullmatch(r"(.+?),? (\d{4})", html.unescape(re.sub(r"<[^>]*>", "", text)))
    if not found:
        return ""
    first = re.split(r",| & | and | et al", found[1])[0].replace("'s", "")
    return re.sub(r"[^a-z]", "", first.lower()) + found[2]


def bibliography_keys(site: Site) -> set[str]:
    return set(re.findall(r"^@\w+\{(\w+),", (site.root / "guides/references.bib").read_text(encoding="utf-8"), flags=re.M))


def default_variants(site: Site) -> dict[str, str]:
    """Stage -> the executed notebook that README's table of chapters leads to: `03_vae` -> `03_vae.gaussian`."""
    return {chapter["stage"]: chapter["node"] for chapter in contents(site)}


def contents(site: Site) -> list[dict[str, str]]:
    """README's table of chapters: stage, node, title and question of each. Raises LookupError when it has none."""
    readme = (site.root / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\(notebooks/executed/([\w.]+)\.ipynb\) \| (.+?) \|$", readme, flags=re.M)
    if not rows:
        raise LookupError("README.md has no table of links to notebooks/executed")
    return [{"stage": node.split(".")[0], "node": node, "title": title, "question": text} for title, node, text in rows]


def section(markdown: str, title: str) -> str:
    """Text under a heading of second order. Raises LookupError when the page has no such heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", markdown, flags=re.M | re.S)
    if not found:
        raise LookupError(f"README.md has no section {title!r}")
    return found[1].strip()


def captions(site: Site) -> dict[str, str]:
    """Caption of each published figure, in Markdown; empty when the run published none."""
    paths = [folder / "captions.json" for folder in (site.figures, site.root / "figures/walkforward")]
    return {
        name: text for path in paths if path.exists() for name, text in json.loads(path.read_text(encoding="utf-8")).items()
    }


def alternative(name: str, caption: str) -> str:
    """The text for those who do not see a figure: the first sentence of its caption, without marks."""
    text = re.sub(r"\$(.+?)\$", lambda found: re.sub(r"[\\{}]", "", found[1]), caption)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("*", "").strip()
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)[0]
    return first or f"Figure {name.removeprefix('fig').replace('_', ' ')}"


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG in pixels."""
    return struct.unpack(">II", path.read_bytes()[16:24])
