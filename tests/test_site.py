"""The site of the published run: whole, without a dead link, and readable without a network."""

import csv
import gzip
import json
import os
import re
import shutil
from html import unescape
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from workflow.site import mathematics
from workflow.site.__main__ import main as program

LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "video": "src", "object": "data"}
LIMIT = 2_000_000  # bytes of a page with the pictures that it alone shows
STUB = {
    "fig07_fan": "Fans of $\\sigma_t$ at a VIX of 40 % in `cond_end`. Darker is likelier.",
    "fig03_history_mse": "Losses of the decoder without a volatility. Validation turns upwards.",
}


@pytest.fixture(scope="session")
def published(root, tmp_path_factory) -> Path:
    """The published figures with captions, and with the data behind one figure, of which a run may publish neither."""
    folder = tmp_path_factory.mktemp("published") / "paper"
    shutil.copytree(root / "figures/paper", folder)
    known = json.loads((folder / "captions.json").read_text()) if (folder / "captions.json").exists() else {}
    (folder / "captions.json").write_text(json.dumps(known | STUB))
    told = r"\expandafter\def\csname caption:fig07_fan\endcsname{Fans of $\sigma_t$ at 40\,\%.}"
    (folder / "captions.tex").write_text(f"% Captions\n{told}\n")
    (folder / "figdata").mkdir(exist_ok=True)
    (folder / "figdata/fig07_fan.csv.gz").write_bytes(gzip.compress(b"panel,x,y\n1,2,3\n"))
    return folder


@pytest.fixture(scope="session")
def executed(root, tmp_path_factory) -> Path:
    """The executed notebooks, with a caption under one figure, as a notebook shows it."""
    folder = tmp_path_factory.mktemp("notebooks") / "executed"
    shutil.copytree(root / "notebooks/executed", folder)
    path = folder / "07_conditional.ipynb"
    notebook = json.loads(path.read_text())
    (cell,) = [cell for cell in notebook["cells"] if 'run.figure("fig07_fan")' in "".join(cell["source"])]
    outputs = [output for output in cell["outputs"] if "text/markdown" not in output["data"]]
    caption = {"text/markdown": f"`fig07_fan` {STUB['fig07_fan']}", "text/plain": STUB["fig07_fan"]}
    cell["outputs"] = [outputs[0], {"output_type": "display_data", "data": caption, "metadata": {}}, *outputs[1:]]
    path.write_text(json.dumps(notebook))
    return folder


@pytest.fixture(scope="session")
def site(published, executed, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    program([str(folder), "--figures", str(published), "--executed", str(executed)])
    return folder


@pytest.fixture(scope="session")
def pages(site) -> dict[str, BeautifulSoup]:
    return {str(path.relative_to(site)): BeautifulSoup(path.read_text(), "lxml") for path in sorted(site.rglob("*.html"))}


def target_of(link: str, page: str) -> tuple[str, str]:
    """File and anchor of a link inside the site, as paths from its folder."""
    file, _, place = unquote(link).partition("#")
    return os.path.normpath(Path(page).parent / file) if file else page, place


def inside(link: str) -> bool:
    return not re.match(r"[a-z]+:", link)


def test_every_chapter_guide_and_table_has_a_page(root, pages):
    wanted = {"index.html", "readme.html", "gallery.html", "tables/index.html", "guides/references.html"}
    wanted |= {f"chapters/{path.stem}.html" for path in (root / "notebooks/executed").glob("*.ipynb")}
    wanted |= {f"guides/{path.stem}.html" for path in (root / "guides").glob("*.md")}
    wanted |= {f"tables/{path.stem}.html" for path in (root / "figures/paper/tables").glob("*.csv")}
    assert wanted <= set(pages)
    assert len(wanted) > 60


def test_every_link_and_every_anchor_leads_somewhere(site, pages):
    places = {page: {tag["id"] for tag in soup.find_all(id=True)} for page, soup in pages.items()}
    count = 0
    for page, soup in pages.items():
        for tag in soup.find_all("a", href=True):
            if not inside(tag["href"]):
                continue
            file, place = target_of(tag["href"], page)
            assert (site / file).is_file(), f"{page}: {tag['href']}"
            assert not place or place in places[file], f"{page}: {tag['href']}"
            count += 1
    assert count > 3000


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for page, soup in pages.items():
        for name, attribute in LOADED.items():
            for tag in soup.find_all(name):
                link = tag.get(attribute, "")
                assert inside(link) or link == "data:,", f"{page} loads {link}"
                assert not link or not inside(link) or (site / target_of(link, page)[0]).is_file(), f"{page} lacks {link}"
        assert not soup.find_all(srcset=True)
        assert "@import" not in str(soup.find_all("style"))
    style = (site / "assets/style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    assert "://" not in (site / "assets/site.js").read_text()


def test_formulas_are_drawn_and_told_without_a_script(site, pages):
    """A picture of MathJax with its MathML beside it; letters are outlines that the page itself holds."""
    count = 0
    for page, soup in pages.items():
        formulas = soup.find_all("span", class_="math")
        for formula in formulas:
            assert formula.svg["aria-hidden"] == "true", page
            assert len(formula.find_all("math")) == 1, page
            assert not formula.find_all(["merror", "mjx-merror"]), page
        drawn = {tag["href"][1:] for tag in soup.find_all("use")}
        assert drawn == {tag["id"] for tag in soup.select(".letters path")}, page
        prose = [tag for tag in soup.main.find_all(["p", "li", "td", "h2"]) if tag.find_parent("pre") is None]
        assert not any(re.search(r"\\[(\[]|\$\w", tag.get_text()) for tag in prose), page
        count += len(formulas)
    assert count > 800
    assert not [path for path in site.rglob("*.js") if path.name != "site.js"]


def test_a_formula_that_is_none_stops_the_build(tmp_path):
    (tmp_path / "page.html").write_text(r'<main><span class="math">\(\nonsense{x}\)</span></main>')
    with pytest.raises(ValueError, match=r"nonsense.*is no formula"):
        mathematics.set_pages(tmp_path)


def test_every_page_is_small(site, pages):
    for page, soup in pages.items():
        pictures = {target_of(tag["src"], page)[0] for tag in soup.find_all("img")}
        size = (site / page).stat().st_size + sum((site / picture).stat().st_size for picture in pictures)
        assert size < LIMIT, f"{page}: {size}"
        assert all(tag["loading"] == "lazy" for tag in soup.find_all("img")), page


def test_every_picture_says_what_it_shows(pages, published):
    captions = json.loads((published / "captions.json").read_text())
    seen = set()
    for page, soup in pages.items():
        for tag in soup.find_all("img"):
            name = Path(tag["src"]).stem
            assert len(tag["alt"]) > 3, f"{page}: {name}"
            seen |= {name} if page.startswith("chapters/") else set()
    assert {path.stem for path in published.glob("fig*.png")} <= seen
    fan = pages["chapters/07_conditional.html"].find("img", src="../figures/fig07_fan.png")
    assert fan["alt"] == "Fans of sigma_t at a VIX of 40 % in cond_end."
    card = pages["gallery.html"].find(id="fig03_history_mse")
    assert card.img["alt"] == captions["fig03_history_mse"].split(". ")[0] + "."


def test_a_caption_stands_once_under_its_figure_and_leads_to_the_gallery(pages):
    chapter = pages["chapters/07_conditional.html"]
    figure = chapter.find("img", src="../figures/fig07_fan.png").find_parent(class_="figure")
    caption = figure.find_next_sibling("div", class_="caption")
    assert caption.get_text().endswith("Darker is likelier.\n")
    assert caption.a["href"] == "../gallery.html#fig07_fan"
    assert not figure.select(".name")
    assert str(chapter).count("Darker is likelier.") == 1


def test_chapters_follow_each_other(root, pages):
    table = re.findall(r"\]\(notebooks/executed/([\w.]+)\.ipynb\) \|", (root / "README.md").read_text())

    def step(node: str, way: str) -> str | None:
        links = {tag["href"] for tag in pages[f"chapters/{node}.html"].find_all("a", rel=way)}
        return links.pop().removesuffix(".html") if links else None

    walked = [table[0]]
    while following := step(walked[-1], "next"):
        assert step(following, "prev") == walked[-1]
        walked.append(following)
    assert walked == table
    assert step("06_diffusion.cond_end", "prev") == "05_latents.cond_end"
    assert step("06_diffusion.mu", "prev") == "05_latents.gaussian"
    variants = pages["chapters/03_vae.mse.html"].select(".variants a")
    assert [tag.get_text() for tag in variants if tag.get("aria-current")] == ["mse"]
    assert len(variants) == len(list((root / "notebooks/executed").glob("03_vae.*")))


def test_chapters_show_all_cells(executed, pages):
    for path in executed.glob("*.ipynb"):
        soup = pages[f"chapters/{path.stem}.html"]
        code = [unescape(tag.get_text()).strip() for tag in soup.select("details.source > pre")]
        cells = json.loads(path.read_text())["cells"]
        assert code == ["".join(cell["source"]).strip() for cell in cells if cell["cell_type"] == "code"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert len(soup.select(".figure")) == sum("image/png" in output.get("data", {}) for output in outputs)
        shown = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
        said = "".join(tag.get_text() for tag in soup.select(".said"))
        assert all("".join(output["text"]).strip() in said for output in outputs if output["output_type"] == "stream")
        assert len(soup.select("table.data")) == sum("<table" in html for html in shown)
        assert not soup.find_all("style")


def test_tables_hold_the_numbers_of_their_files(root, site, pages):
    for path in (root / "figures/paper/tables").glob("*.csv"):
        with path.open() as file:
            written = list(csv.reader(file))
        rows = pages[f"tables/{path.stem}.html"].select("table.sortable tr")
        assert [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows] == written, path.stem
        assert (site / f"tables/{path.name}").read_bytes() == path.read_bytes()


def test_the_gallery_has_every_figure_in_every_format(site, pages, published):
    gallery = pages["gallery.html"]
    for path in published.glob("fig*.png"):
        card = gallery.find(id=path.stem)
        links = {tag.get_text(): target_of(tag["href"], "gallery.html")[0] for tag in card.select(".files a")}
        assert {"PNG", "PDF"} <= set(links), path.stem
        for link in links.values():
            name, is_data = Path(link).name, link.endswith(".csv")
            content = (
                gzip.decompress((published / f"figdata/{name}.gz").read_bytes())
                if is_data
                else (published / name).read_bytes()
            )
            assert (site / link).read_bytes() == content
    fan = gallery.find(id="fig07_fan")
    assert fan.find("a", string="CSV")
    assert r"\caption{Fans of $\sigma_t$ at 40\,\%.}" in fan.pre.get_text()
    assert "Darker is likelier." in fan.figcaption.get_text()


def test_the_first_page_has_the_verdict_and_the_questions_of_readme(root, pages):
    readme = (root / "README.md").read_text()
    text = re.sub(r"\s+", " ", pages["index.html"].main.get_text())
    verdict = readme.split("## The verdict\n")[1].split("\n## ")[0]
    for line in re.findall(r"^- (.+)$", verdict, flags=re.M):
        assert re.sub(r"[*`]", "", line) in text
    for question in re.findall(r"\.ipynb\) \| (.+?) \|$", readme, flags=re.M):
        assert question in text


def test_headings_are_in_order_and_pages_are_marked_up(pages):
    for page, soup in pages.items():
        levels = [int(tag.name[1]) for tag in soup.main.find_all(re.compile(r"^h[1-6]$"))]
        assert levels[0] == 1, page
        assert levels.count(1) == 1, page
        assert all(after - before <= 1 for before, after in pairwise(levels)), page
        assert soup.html["lang"] == "en"
        assert soup.find("a", class_="skip")["href"] == "#content"
        assert soup.header and soup.nav and soup.main["id"] == "content" and soup.footer
        ids = [tag["id"] for tag in soup.find_all(id=True)]
        assert len(set(ids)) == len(ids), page


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds something else"):
        program([str(tmp_path)])
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("chapter", "variant", "said"),
    [
        ("", "", "CHAPTER is one of 01, 02"),
        ("99", "", "CHAPTER is one of 01, 02"),
        ("03", "none", "it has gaussian"),
        ("03", "", "needs Chromium"),
    ],
)
def test_printing_says_what_is_missing(site, monkeypatch, chapter, variant, said):
    monkeypatch.setenv("PATH", str(site))
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(SystemExit, match=said):
        program([str(site), "--pdf", chapter, "--variant", variant])


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_chapter_is_printed(site):
    program([str(site), "--pdf", "05", "--variant", "cond_end"])
    assert (site / "pdf/05_latents.cond_end.pdf").read_bytes().startswith(b"%PDF")
    assert not list((site / "chapters").glob(".*"))
