"""What a reader meets: a short README, links that lead somewhere, terms, works and symbols that are explained."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = sorted((ROOT / "notebooks/executed").glob("*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "guides").glob("*.md"))]
PAGES += sorted((ROOT / "figures/paper").glob("*.md"))
CODE = re.compile(r"```.*?```|`[^`]*`|<code>.*?</code>", re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CITED = re.compile(r"\[([^\]]+?) (\d{4})\]\([^)]*references\.bib\)")
NAMED = re.compile(
    r"\b([A-Z][\w'’-]+(?:, [A-Z][\w'’-]+)*(?: (?:&|and) (?:van der )?[A-Z][\w'’-]+| et al\.)?),? (1[89]\d\d|20\d\d)\b"
)
# capitals that are no terms of this field: formats, files, programs, products, institutions, the calendar
PLAIN = set("CSV PDF PNG SVG JSON YAML UTC ISO USA README REPORT MIT CUDA CPU GPU API OK II III S&P URL".split())
MACROS = """log exp min max sup inf sqrt frac tfrac sum prod int operatorname mathrm text textstyle displaystyle underbrace
overbrace left right big Big bigl bigr cdot cdots dots ldots quad qquad times le leq ge geq neq approx sim in to lvert rvert
lVert rVert mid mathcal mathbb hat bar tilde overline widehat begin end top infty partial pm rm bf lfloor rfloor lceil rceil
mathbf boldsymbol tanh cos sin Pr colon equiv propto gg ll ne cases aligned array dfrac limits Big substack not forall middle
odot circ prime langle rangle wedge vee cup cap setminus subset subseteq perp parallel star ast bigg Bigg
lbrace rbrace longrightarrow ln""".split()
CONSTANTS = {"e", "d", "pi", "N", "E", "P"}  # Euler's number, a differential, pi, the normal law, expectation, probability


def prose(path: Path) -> str:
    """The Markdown of a page or a notebook."""
    if path.suffix != ".ipynb":
        return path.read_text()
    return "\n\n".join(cell for kind, cell in notebook(path) if kind == "markdown")


def notebook(path: Path) -> list[tuple[str, str]]:
    return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(path.read_text())["cells"]]


def anchors(path: Path) -> set[str]:
    """Places of a page that a link may name: headings as GitHub makes them, and named places."""
    text = CODE.sub(lambda code: code[0].strip("`") if "\n" not in code[0] else "", path.read_text())
    heads = [re.sub(r"<[^>]*>", "", head) for head in re.findall(r"^#+ (.+)$", text, flags=re.M)]
    slugs = {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


def bibliography() -> dict[str, str]:
    return dict(re.findall(r"^@\w+\{(\w+),(.*?)^\}", (ROOT / "guides/references.bib").read_text(), flags=re.M | re.S))


def key_of(authors: str, year: str) -> str:
    first = re.split(r",| & | and | et al", authors)[0].replace("'s", "")
    return re.sub(r"[^a-z]", "", first.lower()) + year


def test_readme_is_two_screens_before_its_reference_part():
    above = (ROOT / "README.md").read_text().split("\n## Reference\n")[0]
    text = re.sub(r"```.*?```", "", above, flags=re.S)
    lines = [line for line in text.splitlines() if not line.startswith("|")]
    words = re.findall(r"[\w'’-]*\w", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(lines)))
    assert len(words) <= 900
    assert above.index("make quick") < 3000, "the first command comes late"


@pytest.mark.parametrize("path", [*PAGES, *SOURCES, *EXECUTED], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path):
    for target in LINK.findall(re.sub(r"```.*?```", "", prose(path), flags=re.S)):
        if "://" in target:
            continue
        file, _, place = target.partition("#")
        to = (path.parent / file).resolve() if file else path
        assert to.exists(), target
        if place and to.suffix == ".md":
            assert place in anchors(to), target


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_work_that_is_cited_is_in_the_bibliography(path):
    known = bibliography()
    for authors, year in CITED.findall(prose(path)):
        assert key_of(authors, year) in known, f"{authors} {year}"


def test_docstrings_cite_the_bibliography():
    known, names = bibliography(), set()
    for path in (ROOT / "chaoslib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                names |= set(NAMED.findall(re.sub(r"\s+", " ", ast.get_docstring(node) or "")))
    months = {"September", "Russell"}  # followed by a year, or by a number that looks like one
    cited = {key_of(*name) for name in names if name[0] not in months}
    assert len(cited) > 15
    assert cited <= set(known)


def test_every_entry_of_the_bibliography_is_cited():
    text = "\n".join(
        [prose(path) for path in (*PAGES, *SOURCES)] + [p.read_text() for p in (ROOT / "chaoslib").rglob("*.py")]
    )
    named = {key_of(*found) for found in [*CITED.findall(text), *NAMED.findall(re.sub(r"\s+", " ", text))]}
    assert set(bibliography()) - named == {"gjorgjievski"}  # linked by its address


def test_the_glossary_has_a_sentence_or_two_for_each_term():
    terms = (ROOT / "guides/glossary.md").read_text().split("\n### ")[1:]
    assert len(terms) > 60
    for term in terms:
        title, _, text = term.partition("\n")
        sentences = re.findall(r"[.!?](?:\s|$)", re.sub(r"\([^()]*\)\s*$|\(\[.*", "", text.split("\n## ")[0].strip()))
        assert 1 <= len(sentences) <= 3, title


@pytest.mark.parametrize("path", [PAGES[0], ROOT / "guides/results.md", *SOURCES], ids=lambda p: p.name)
def test_abbreviations_are_terms_of_the_glossary(path):
    """Every abbreviation of the prose has an entry."""
    glossary = (ROOT / "guides/glossary.md").read_text()
    entries = set(re.findall(r"[A-Z][A-Z0-9]+", " ".join(re.findall(r"^### (.+)$", glossary, flags=re.M))))
    text = re.sub(r"\]\([^)]*\)|\$\$.*?\$\$|\$[^$]*\$|<[^>]*>", " ", CODE.sub(" ", prose(path)), flags=re.S)
    short = set(re.findall(r"(?<![\w.])[A-Z][A-Z0-9&]+(?![\w.-])", text))
    assert short - PLAIN - entries == set()


def symbols(formula: str) -> set[str]:
    """Letters and Greek names of a formula, without operators, words and decoration."""
    formula = re.sub(
        r"\\(?:operatorname\*?|mathrm|text|rm)\s*\{[^{}]*\}|\\begin\{\w+\}|\\end\{\w+\}|\\rm\s+\w+", " ", formula
    )
    formula = re.sub(r"\\mathrm\s*\w|\\mathcal\s*\{?\w\}?|\\mathbb\s*\{?\w\}?", " ", formula)
    names = set(re.findall(r"\\([A-Za-z]+)", formula)) - set(MACROS)
    letters = set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", formula)))
    return {name.removeprefix("var") for name in names | letters} - CONSTANTS


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_every_symbol_of_an_equation_is_defined_in_words(path):
    """A symbol of a display equation stands in the prose, as inline mathematics, in the same or an earlier cell."""
    defined: set[str] = set()
    for kind, text in notebook(path):
        if kind != "markdown":
            continue
        text = CODE.sub(" ", text)
        displayed = re.findall(r"\$\$(.*?)\$\$", text, flags=re.S)
        for inline in re.findall(r"\$([^$]+)\$", re.sub(r"\$\$.*?\$\$", " ", text, flags=re.S)):
            defined |= symbols(inline)
        for formula in displayed:
            assert symbols(formula) <= defined, f"{sorted(symbols(formula) - defined)} in {formula.strip()}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_chapter_has_a_map_an_equation_and_exercises_with_answers(path):
    cells = notebook(path)
    assert f'figures.pipeline_map("{path.stem}")' in cells[1][1], "the second cell ends with the map"
    text = prose(path)
    assert len(re.findall(r"\$\$.*?\$\$", text, flags=re.S)) >= 1
    (exercises,) = [cell for kind, cell in cells if kind == "markdown" and cell.startswith("## Exercises")]
    assert 2 <= exercises.count("<details>") <= 3
    assert exercises.count("<details>") == exercises.count("</details>")


def test_the_map_of_figures_and_tables_names_what_is_published():
    section = (ROOT / "guides/tables.md").read_text().split("## Which chapter makes which")[1]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`([\w*]+)`", " ".join(row[1:]))}
    folder = ROOT / "figures/paper"
    variants = "|".join(
        sorted({p.stem.split(".")[1] for p in (ROOT / "params/paper").glob("*.*.yaml")}, key=len, reverse=True)
    )
    of_variants = ("fig03", "fig05", "fig06", "fig08")
    made = {
        re.sub(rf"_(?:{variants})$", "_*", path.stem) if path.stem.startswith(of_variants) else path.stem
        for path in folder.glob("fig*.png")
    }
    assert named == made | {path.stem for path in folder.glob("tables/*.csv")}
