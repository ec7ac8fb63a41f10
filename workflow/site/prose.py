"""Markdown to HTML as GitHub shows it: anchors of headings, tables that scroll, links that lead inside the site."""

import re
from html import escape

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

from workflow.site.places import FIGURE, Site, linked, picture_size, relative, resolve


class Prose(IPythonRenderer):
    """Renders the Markdown of one page. `headings` collects (level, anchor, HTML) of its headings, over several calls."""

    def __init__(self, site: Site, source: str, page: str, headings: list[tuple[int, str, str]]):
        super().__init__(escape=False)
        self.site, self.source, self.page, self.headings = site, source, page, headings

    def heading(self, text: str, level: int, **attrs) -> str:
        words = re.sub(r"<[^>]*>", "", text)
        anchor = slug(words, [place for _, place, _ in self.headings])
        self.headings.append((level, anchor, re.sub(r"</?a\b[^>]*>", "", text)))
        link = f'<a class="anchor" href="#{anchor}" aria-label="Link to this section">#</a>' if level > 1 else ""
        return f'<h{level} id="{anchor}">{text}{link}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        target = linked(url, self.source, self.page, self.site, text=text)
        return text if target is None else f'<a href="{escape(target)}">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        path = resolve(url, self.source)
        found = FIGURE.fullmatch(path)
        if not found:
            raise LookupError(f"{self.source} shows {url}, which is no published figure")
        return picture(found[1], text, self.page, self.site, file=path)

    def block_code(self, code: str, info: str | None = None) -> str:
        return code_block(code, (info or "text").split()[0])

    def table(self, text: str) -> str:
        return scrolling(f"<table>\n{text}</table>")

    def inline_math(self, body: str) -> str:
        return f'<span class="math">\\({escape(body, quote=False)}\\)</span>'

    def block_math(self, body: str) -> str:
        return f'<span class="math display">\\[{escape(body, quote=False)}\\]</span>'


def slug(words: str, taken: list[str]) -> str:
    """Anchor of a heading as GitHub makes it; a second heading of one name gets a number."""
    name = re.sub(r"[^\w -]", "", words.lower()).strip().replace(" ", "-")
    used = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", other) is not None for other in taken)
    return f"{name}-{used}" if used else name


def render(markdown: str, site: Site, source: str, page: str, headings: list | None = None) -> str:
    """HTML of Markdown that stands in the repository's file `source` and is shown on `page`."""
    prose = Prose(site, source, page, [] if headings is None else headings)
    return MarkdownWithMath(renderer=prose).render(markdown)


def picture(name: str, alt: str, page: str, site: Site, *, file: str = "", note: bool = True) -> str:
    """A published figure, which leads to its full size.

    file : path in the repository, when the figure is not one of the run that is shown
    note : whether its name stands under it, which leads to its place in the gallery
    """
    path = site.root / file if file and not file.startswith("figures/paper/") else site.figures / f"{name}.png"
    width, height = picture_size(path)
    full, place = relative(f"figures/{name}.png", page), relative(f"gallery.html#{name}", page)
    image = f'<img src="{full}" alt="{escape(alt)}" width="{width}" height="{height}" loading="lazy" decoding="async">'
    named = f'<span class="name"><a href="{place}">{name}</a></span>' if note else ""
    return f'<span class="picture"><a href="{full}">{image}</a>{named}</span>'


def scrolling(table: str, label: str = "Table") -> str:
    """A table in a box that scrolls on a narrow page."""
    return f'<div class="scroll" role="group" aria-label="{label}">{table}</div>\n'


def code_block(code: str, language: str = "python", *, file: str = "") -> str:
    """Source text with classes that the style sheet colours."""
    try:
        lexer = get_lexer_for_filename(file) if file else get_lexer_by_name({"": "text"}.get(language, language))
    except ClassNotFound:
        lexer = TextLexer()
    return f'<pre class="code"><code>{highlight(code, lexer, HtmlFormatter(nowrap=True))}</code></pre>\n'
