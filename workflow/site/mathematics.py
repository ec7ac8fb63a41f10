"""Formulas as pictures with their MathML, set by MathJax while the site is made: a page needs no script for them.

MathJax runs in the engine of the package mini-racer; its files come from django-static-mathjax, which needs no Django.
"""

import importlib.metadata
import json
import re
from html import unescape
from pathlib import Path

from py_mini_racer import JSEvalException, MiniRacer

PARTS = "core adaptors/liteDOM input/tex-base input/tex/extensions/ams output/svg output/svg/fonts/tex".split()
FORMULA = re.compile(r'<span class="math(?P<display> display)?">\\[(\[](?P<tex>.*?)\\[)\]]</span>', re.S)
GLYPH = re.compile(r'<path id="MJX-\d+-([\w-]+)" d="([^"]*)"></path>')
PROGRAM = """
const M = MathJax._, adaptor = M.adaptors.liteAdaptor.liteAdaptor();
M.handlers.html_ts.RegisterHTMLHandler(adaptor);
const page = M.mathjax.mathjax.document("", {
  InputJax: new M.input.tex_ts.TeX({packages: ["base", "ams"], formatError: (_, error) => { throw Error(error.message); }}),
  OutputJax: new M.output.svg_ts.SVG({fontCache: "local", font: new M.output.svg.fonts.tex_ts.TeXFont()}),
});
const words = new M.core.MmlTree.SerializedMmlVisitor.SerializedMmlVisitor();
function set(tex, display) {
  const tree = page.convert(tex, {display, end: M.core.MathItem.STATE.CONVERT});
  return JSON.stringify([adaptor.innerHTML(page.convert(tex, {display})), words.visitTree(tree)]);
}
"""


def set_pages(folder: Path) -> int:
    r"""Replace the formulas \(...\) and \[...\] of all pages of a folder; returns how many there were.

    Each page gets the outlines of the letters that it uses once. Raises ValueError for a formula that MathJax refuses.
    """
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.html"))}
    formulas = {(found["tex"], bool(found["display"])) for text in pages.values() for found in FORMULA.finditer(text)}
    drawn, outlines = typeset(sorted(formulas))
    count = 0
    for path, text in pages.items():
        text, number = FORMULA.subn(lambda found: drawn[found["tex"], bool(found["display"])], text)
        used = sorted(set(re.findall(r'<use href="#(TEX-[\w-]+)"', text)))
        letters = "".join(f'<path id="{name}" d="{outlines[name]}"/>' for name in used)
        store = f'<svg class="letters" aria-hidden="true" width="0" height="0"><defs>{letters}</defs></svg>'
        if number:
            path.write_text(text.replace("</main>", f"{store}\n</main>"), encoding="utf-8")
        count += number
    return count


def typeset(formulas: list[tuple[str, bool]]) -> tuple[dict[tuple[str, bool], str], dict[str, str]]:
    """HTML of each (TeX as it stands in HTML, whether displayed), and the outlines of letters by name."""
    package = importlib.metadata.files("django-static-mathjax") or ()
    scripts = {str(path).partition("/es5/")[2].removesuffix(".js"): path for path in package}
    drawn, outlines = {}, {}
    with MiniRacer() as engine:
        for part in PARTS:
            engine.eval(scripts[part].locate().read_text(encoding="utf-8"))
        engine.eval(PROGRAM)
        for tex, display in formulas:
            try:
                answer = engine.eval(f"set({json.dumps(unescape(tex))}, {json.dumps(display)})")
            except JSEvalException as error:
                raise ValueError(f"{unescape(tex)!r} is no formula: {str(error).splitlines()[0]}") from None
            picture, words = json.loads(answer)
            outlines |= dict(GLYPH.findall(picture))
            drawn[tex, display] = compact(picture, words, display)
    return drawn, outlines


def compact(picture: str, words: str, display: bool) -> str:
    """A picture without what only MathJax reads, letters named rather than drawn, and MathML for those who do not see it."""
    picture = re.sub(r"<defs>.*?</defs>", "", picture, flags=re.S)
    picture = re.sub(r'xlink:href="#MJX-\d+-', 'href="#', picture)
    picture = re.sub(r' (?:data-[\w-]+|xmlns(?::\w+)?|role)="[^"]*"', "", picture).replace("></use>", "/>")
    picture = picture.replace("<svg ", '<svg aria-hidden="true" ', 1)
    words = re.sub(r">\s+<", "><", re.sub(r' data-[\w-]+="[^"]*"', "", words))
    name = "math display" if display else "math"
    return f'<span class="{name}">{picture}<span class="unseen">{words}</span></span>'
