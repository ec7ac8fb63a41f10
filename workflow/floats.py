"""Tables in LaTeX: a frame of texts as a float with a booktabs tabular that fits the page."""

import re
import textwrap
from itertools import product, zip_longest

import pandas as pd

TEXT_WIDTH = 450.0  # points of TeX: 6.27 inches less a little
SIZES = {"footnotesize": (9.25, 4), "scriptsize": (8.5, 3)}  # points of an em at 11 pt, and to each side of a column
HEADS = (14, 10, 7)  # least letters of a line of a heading, as there is room
WIDTHS = {  # of Computer Modern, em; others 0.5
    **dict.fromkeys("ijl.,:;'| ", 0.29),
    **dict.fromkeys("frst()-*I", 0.4),
    **dict.fromkeys("mMWAVGXKNDHQOEFTUCYRBPSZw%−±≤", 0.75),
}
CODE = r"`[^`]*`"
MARKS = rf"{CODE}|\$[^$]*\$|\*\*[^*]*\*\*"  # of the captions of figures
SIGNS = {
    **{sign: f"\\{sign}" for sign in "&%#_{}$"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "…": r"\dots{}",
    "—": "---",
    "·": r"$\cdot$",
    "\xa0": "~",
    "’": "'",
    "“": "``",
    "”": "''",
}


def tex(text: str, *, marks: str = CODE) -> str:
    """Plain text for LaTeX; `code` becomes typewriter. With `MARKS` **bold** is bold too, and math in dollars stays.

    A letter that pdfLaTeX may lack becomes a question mark.
    """
    pieces = re.split(f"({marks})", re.sub(r'"([^"]*)"', r"“\1”", text))
    return "".join(marked(piece) if place % 2 else plain(piece) for place, piece in enumerate(pieces))


def plain(text: str) -> str:
    signs = escaped(re.sub(r"(?<![\w.])-(?=[\d.])", "−", text))
    return re.sub(r"[ ~]\\%", r"\\,\\%", signs).replace(r"p\_max", r"$p_{\max}$")


def marked(text: str) -> str:
    if text.startswith("$"):
        return text
    return rf"\texttt{{{escaped(text[1:-1])}}}" if text.startswith("`") else rf"\textbf{{{plain(text[2:-2])}}}"


def escaped(text: str) -> str:
    return "".join(SIGNS.get(c, c if ord(c) < 256 else "?") for c in text)


def ems(text: str) -> float:
    return sum(WIDTHS.get(c, 0.5) for c in text)


def missing(cells: list[str]) -> list[tuple[int, int]]:
    """How many signs and digits each number lacks before its point, to stand under the longest of its column."""
    numbers = [re.match(r"(-?)(\d+)", cell) for cell in cells]
    sign, digits = (max((len(number[k]) for number in numbers if number), default=0) for k in (1, 2))
    return [(sign - len(number[1]), digits - len(number[2])) if number else (0, 0) for number in numbers]


def column_width(head: str, cells: list[str]) -> float:
    """In em, of cells whose numbers and ranges stand under each other."""
    parts = [cell.partition("(") for cell in cells]
    lead = [ems(part[0]) + 0.75 * s + 0.5 * d for part, (s, d) in zip(parts, missing(cells), strict=True)]
    return max(max(lead) + max(ems("".join(part[1:])) for part in parts), *map(ems, head.split("\n")))


def broken(head: str, cells: list[str], least: int) -> str:
    """A heading in lines as wide as the cells below it or `least` letters; a unit stays with the word before it."""
    head = head.replace(" %", "\xa0%").replace(" (%)", "\xa0(%)")
    longest = max(map(len, [*cells, *head.split(" ")]), default=0)
    return textwrap.fill(head, max(longest, least), break_long_words=False, break_on_hyphens=False)


def blocks_of(frame: pd.DataFrame) -> tuple[str, list[pd.DataFrame]]:
    """The size of the letters, and the frame in blocks of columns that stand under each other, as few as fit the page.

    The columns of a block are headings in lines.
    """
    stub = max([ems(frame.index.names[-1] or ""), *(ems(row) for row in frame.index.get_level_values(-1))])
    for count in range(1, frame.shape[1] + 1):
        width = -(-frame.shape[1] // count)
        for (size, (em, gap)), least in product(SIZES.items(), HEADS):
            headed = frame.set_axis([broken(head, [*frame[head]], least) for head in frame], axis=1)
            blocks = [headed.iloc[:, start : start + width] for start in range(0, frame.shape[1], width)]
            columns = zip_longest(
                *([column_width(head, [*block[head]]) for head in block] for block in blocks), fillvalue=0.0
            )
            if em * (stub + sum(map(max, columns))) + 2 * gap * width <= TEXT_WIDTH:
                return size, blocks
    return size, blocks


def aligned(cells: list[str], side: str) -> list[str]:
    """Cells with room before them, or behind where others have a star, so that their points stand under each other."""
    if side == "r":
        has_star = any(cell.endswith("*") for cell in cells)
        return [tex(cell) + r"\phantom{*}" * (has_star and not cell.endswith("*")) for cell in cells]
    pads = [r"\phantom{$-$}" * signs + r"\phantom{0}" * digits for signs, digits in missing(cells)]
    return [pad + tex(cell) for pad, cell in zip(pads, cells, strict=True)]


def tabular(frame: pd.DataFrame) -> tuple[str, str]:
    """A booktabs tabular of a frame of texts, and the size that it needs; groups of rows have a line of their own."""
    size, blocks = blocks_of(frame)
    width = blocks[0].shape[1]
    cells = [[list(block.iloc[:, place]) if place < block.shape[1] else [] for place in range(width)] for block in blocks]
    sides = ["l" if any("(" in c for block in cells for c in block[place]) else "r" for place in range(width)]
    lines = [rf"\begin{{tabular}}{{@{{}}l{''.join(sides)}@{{}}}}", r"\toprule"]
    for block, columns in zip(blocks, cells, strict=True):
        if block is not blocks[0]:
            lines.append(r"\midrule")
        heads = [stacked(head, side) for head, side in zip(block, sides, strict=False)] + [""] * (width - block.shape[1])
        lines += [row([frame.index.names[-1] or "", *heads]), r"\midrule"]
        columns = [aligned(column, side) for column, side in zip(columns, sides, strict=True)]
        group = ""
        for place, key in enumerate(frame.index):
            if isinstance(key, tuple) and key[0] != group:
                group = key[0]
                lines += [r"\addlinespace"] * (place > 0) + [
                    rf"\multicolumn{{{width + 1}}}{{@{{}}l}}{{\emph{{{tex(group)}}}}} \\"
                ]
            lines.append(row([tex(frame.index.get_level_values(-1)[place]), *(c[place] if c else "" for c in columns)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]), size


def stacked(head: str, side: str) -> str:
    """A heading in its lines."""
    lines = r" \\ ".join(tex(line) for line in head.split("\n"))
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{lines}\end{{tabular}}" if "\n" in head else lines


def row(cells: list[str]) -> str:
    return " & ".join(cells).rstrip() + r" \\"


def table(name: str, frame: pd.DataFrame, caption: str, sources: list[str]) -> str:
    """A whole float: caption above, label `tab:<name>`, tabular of the page's width at most."""
    if frame.empty:
        body, size = "The run has no rows for this table.", "footnotesize"
    else:
        body, size = tabular(frame)
    return "\n".join(
        [
            f"% Written by workflow/typeset.py from {', '.join(f'{source}.csv' for source in sources)}; needs booktabs.",
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{tex(caption)}}}",
            rf"\label{{tab:{name}}}",
            rf"\{size}\setlength{{\tabcolsep}}{{{SIZES[size][1]}pt}}",
            body,
            r"\end{table}",
            "",
        ]
    )
