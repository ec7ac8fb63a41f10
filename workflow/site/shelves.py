"""What stands beside the chapters: tables, the gallery of figures, the bibliography, sources that a page links to."""

import csv
import re
from html import escape
from pathlib import Path

from PIL import Image

from workflow.site import chapters
from workflow.site.places import Site, alternative, captions, contents, table_name
from workflow.site.prose import render

ACCENTS = {"\\'e": "é", "\\`e": "è", '\\"e': "ë", '\\"o': "ö", '\\"u': "ü", '\\"a': "ä"}
THUMB = 480  # pixels across
CAPTION = re.compile(r"\\csname caption:(\w+)\\endcsname\{(.*)\}%?$", re.M)  # a line of captions.tex


def tables(site: Site) -> list[dict]:
    """Every published table: name, folder, file, columns, rows, which columns are numbers, and what one row is."""
    told, found = told_rows(site), []
    for folder in (site.figures, site.root / "figures/walkforward"):
        for path in sorted(folder.glob("tables/*.csv")):
            with path.open(encoding="utf-8") as file:
                head, *rows = csv.reader(file)
            found.append(
                {
                    "name": table_name("paper" if folder == site.figures else folder.name, path.stem),
                    "title": path.stem,
                    "path": path,
                    "has_tex": path.with_suffix(".tex").exists(),
                    "is_of_run": folder == site.figures,
                    "head": head,
                    "rows": rows,
                    "is_number": [all(is_numeric(row[at]) for row in rows if row[at]) for at in range(len(head))],
                    **told.get(path.stem, {}),
                }
            )
    return found


def printed_tables(site: Site) -> list[Path]:
    """Tables in TeX that are made from several CSV files, so that no table of theirs has the name."""
    paths = sorted(site.figures.glob("tables/*.tex"))
    return [path for path in paths if not path.with_suffix(".csv").exists()]


def is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def told_rows(site: Site) -> dict[str, dict[str, str]]:
    """Table -> chapter, `row` and `words` of guides/tables.md, as Markdown."""
    text = (site.root / "guides/tables.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (.+?) \| (.+?) \|$", text, flags=re.M)
    return {name: {"chapter": chapter, "row": row, "words": words} for name, chapter, row, words in rows}


def gallery(site: Site) -> list[dict]:
    """Shelves of the gallery in the order of the chapters: title, link, and figures with caption, files and TeX."""
    known, stages, shelves, seen = captions(site), chapters.nodes(site), [], set()
    titles = {chapter["stage"]: chapter["title"] for chapter in contents(site)}
    for stage, nodes in stages.items():
        names = dict.fromkeys(name for node in nodes for name in chapters.drawn(site, node))
        names = [name for name in names if (site.figures / f"{name}.png").exists()]
        seen |= set(names)
        shelves.append({"id": stage[:2], "title": titles[stage], "node": nodes[0], "names": names})
    if left := sorted({path.stem for path in site.figures.glob("fig*.png")} - seen):
        shelves.append({"id": "more", "title": "More", "node": "", "names": left})
    folders = dict.fromkeys((name for shelf in shelves for name in shelf["names"]), site.figures)
    walk = sorted((site.root / "figures/walkforward").glob("fig*.png"))
    if walk:
        shelves.append({"id": "walkforward", "title": "Walk-forward", "node": "", "names": [path.stem for path in walk]})
        folders |= {path.stem: path.parent for path in walk}
    for shelf in shelves:
        shelf["figures"] = [figure(name, folders[name], known.get(name, ""), site) for name in shelf["names"]]
    return shelves


def figure(name: str, folder: Path, caption: str, site: Site) -> dict:
    """One figure of the gallery, with a small copy for the overview."""
    thumb = site.to / "figures/small" / f"{name}.webp"
    thumb.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(folder / f"{name}.png") as image:
        height = round(image.height * THUMB / image.width)
        image.convert("RGB").resize((THUMB, height), Image.Resampling.LANCZOS).save(thumb, "WEBP", quality=75)
    kinds = {"PNG": folder / f"{name}.png", "PDF": folder / f"{name}.pdf", "CSV": folder / f"figdata/{name}.csv.gz"}
    return {
        "name": name,
        "alt": alternative(name, caption),
        "caption": render(caption, site, "README.md", "gallery.html"),
        "height": height,
        "files": {kind: path for kind, path in kinds.items() if path.exists()},
        "tex": tex_of(name, folder),
    }


def tex_of(name: str, folder: Path) -> str:
    """Lines for a paper that show a figure with its caption, where captions.tex has one."""
    path = folder / "captions.tex"
    caption = dict(CAPTION.findall(path.read_text(encoding="utf-8"))).get(name, "") if path.exists() else ""
    return rf"""\begin{{figure}}
  \centering
  \includegraphics[width=\textwidth]{{figures/{folder.name}/{name}.pdf}}
  \caption{{{caption}}}
  \label{{fig:{name}}}
\end{{figure}}
"""


def bibliography(site: Site) -> list[dict[str, str]]:
    """Entries of references.bib in the order of their keys, as HTML with the key."""
    text = (site.root / "guides/references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, flags=re.M | re.S)
    fields = {key: dict(re.findall(r"^\s*(\w+) = \{?(.*?)\}?,?$", body, flags=re.M)) for key, body in sorted(entries)}
    return [{"key": key, "html": entry(fields[key])} for key in fields]


def entry(fields: dict[str, str]) -> str:
    """Authors, year, title and place of one work."""
    fields = {key: plain_tex(value) for key, value in fields.items()}
    authors = [" ".join(reversed(name.split(", "))) for name in fields["author"].split(" and ")]
    named = ", ".join(authors[:-1]) + (" and " if authors[:-1] else "") + authors[-1]
    place = fields.get("journal") or fields.get("booktitle") or fields.get("publisher") or fields.get("institution", "")
    number = fields.get("volume", "") + (f"({fields['number']})" if "number" in fields else "")
    rest = ", ".join(part for part in (f"<i>{place}</i>" if place else "", number, fields.get("pages", "")) if part)
    year = f" ({fields['year']})" if "year" in fields else ""
    parts = [f"{named}{year}.", f"{fields['title']}.", rest and f"{rest}.", fields.get("note", "") and f"{fields['note']}."]
    for key, address, label in (
        ("doi", "https://doi.org/", ""),
        ("eprint", "https://arxiv.org/abs/", "arXiv:"),
        ("url", "", ""),
    ):
        if key in fields:
            parts.append(f'<a href="{address}{fields[key]}">{label}{fields[key]}</a>')
    return " ".join(filter(None, parts))


def plain_tex(text: str) -> str:
    """Text of a field without the marks of TeX."""
    for mark, letter in ACCENTS.items():
        text = text.replace(f"{{{mark}}}", letter).replace(mark, letter)
    return escape(re.sub(r"[{}]", "", text).replace("---", "—").replace("--", "–"), quote=False)
