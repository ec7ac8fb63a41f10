"""What a printed paper takes from a published run: a table in LaTeX for each CSV, and an article with all of it.

python workflow/typeset.py figures/paper

Writes `tables/<name>.tex`, each a whole float for a text 6.27 inches wide or wider, which asks for the package booktabs;
`captions.tex`, what captions.json says of the figures; and `paper.tex` with every figure and table.
"""

import argparse
import json
import logging
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
import printed
import verdicts
import yaml
from cells import BLANK, words
from floats import MARKS, table, tex

from chaoslib.pipeline import files

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = {  # chapter -> what it prints, in order; a function has the name of its table
    "01": (printed.data_summary,),
    "02": (printed.splits,),
    "04": (printed.probe, printed.probe_by_split),
    "07": (printed.conditional, printed.conditional_summary, printed.volatility, printed.guidance, printed.sweep),
    "09": (printed.headline, printed.distances, printed.unconditional, printed.crps),
    "10": (
        *(verdicts.verdict, verdicts.scorecard, verdicts.yardstick, verdicts.referees, verdicts.forecast_gaps),
        *(verdicts.discriminator, verdicts.strategies, verdicts.rule_breaks),
    ),
    "11": (
        *(verdicts.stress, verdicts.losses, verdicts.reverse_stress, verdicts.drift, verdicts.backtest_overview),
        *(verdicts.backtest, verdicts.by_year, verdicts.episodes, verdicts.horizons),
    ),
    "": (verdicts.timings,),
}
SOURCES = {  # printed table -> the published ones it is made from, where it has not the name of one
    "headline": ["distances"],
    "verdict": ["scorecard", "referees"],
    "forecast_gaps": ["referees"],
    "rule_breaks": ["strategies"],
    "losses": ["stress"],
    "backtest_overview": ["backtest"],
}

DEFINED = r"% Written by workflow/typeset.py: \csname caption:fig07_fan\endcsname is the caption of fig07_fan, and so on."
PREAMBLE = r"""% Written by workflow/typeset.py: every figure and table of one run. pdflatex, twice, in this folder.
\documentclass[11pt,a4paper]{article}
\usepackage[text={7in,10.2in},centering]{geometry} % a figure of two columns is 7 inches wide
\usepackage{booktabs,graphicx}
\usepackage[font=small,labelfont=bf]{caption}
\usepackage[hidelinks]{hyperref}
\extrafloats{200}
\renewcommand{\topfraction}{0.95}
\renewcommand{\bottomfraction}{0.95}
\renewcommand{\textfraction}{0.02}
\renewcommand{\floatpagefraction}{0.6}
\setcounter{topnumber}{6}
\setcounter{totalnumber}{6}
\makeatletter % pages of floats begin at the top
\setlength{\@fptop}{0pt}
\setlength{\@fpsep}{18pt plus 6pt}
\setlength{\@fpbot}{0pt plus 1fil}
\makeatother
\newsavebox{\drawn}
\newcommand{\drawing}[1]{% at its own size, smaller only where the page is
  \sbox{\drawn}{\includegraphics{#1}}%
  \ifdim\wd\drawn>\textwidth\sbox{\drawn}{\includegraphics[width=\textwidth]{#1}}\fi
  \ifdim\ht\drawn>0.88\textheight\sbox{\drawn}{\includegraphics[height=0.88\textheight]{#1}}\fi
  \usebox{\drawn}}
\title{Compressing Chaos: all figures and tables}
\author{}
\date{}
"""


def print_tables(tables: dict[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    """{chapter: {name: LaTeX}} of every printed table whose published tables are there."""
    captions = yaml.safe_load((ROOT / "workflow/printed.yaml").read_text(encoding="utf-8"))
    made: dict[str, dict[str, str]] = {}
    for chapter, makers in CHAPTERS.items():
        for make in makers:
            name, sources = make.__name__, SOURCES.get(make.__name__, [make.__name__])
            if set(sources) <= set(tables):
                has_rows = not any(tables[source].empty for source in sources)
                frame, facts = make(tables) if has_rows else (pd.DataFrame(), {})
                caption = captions[name].format_map(defaultdict(lambda: BLANK, facts))
                made.setdefault(chapter, {})[name] = table(name, frame, caption, sources)
    if (
        unknown := set(tables)
        - {"left_out"}
        - {source for tables in made.values() for name in tables for source in SOURCES.get(name, [name])}
    ):
        logging.warning("no printed form of %s", ", ".join(sorted(unknown)))
    return made


def paper(made: dict[str, dict[str, str]], figures: list[str], captioned: set[str], about: str) -> str:
    """The text of paper.tex, in chapters; `captioned` are the figures that captions.tex has a text for."""
    lines = [PREAMBLE, r"\input{captions}", r"\begin{document}", r"\maketitle", tex(about)]
    numbers = {name: name[3:5] if name[3:5].isdigit() else "" for name in figures}
    for place, chapter in enumerate(sorted({*made, *numbers.values()}, key=lambda chapter: chapter or "end")):
        heading, ordered = section(chapter, [name for name in figures if numbers[name] == chapter])
        lines += ["", r"\clearpage" * (place > 0), rf"\section*{{{tex(heading)}}}"]
        lines += [figure(name, name in captioned) for name in ordered]
        lines += [rf"\input{{tables/{name}}}" for name in made.get(chapter, {})]
    return "\n".join([*lines, r"\end{document}", ""])


def section(chapter: str, figures: list[str]) -> tuple[str, list[str]]:
    """The heading of a chapter and its figures in the order of its notebook; "" is what no chapter makes."""
    if not chapter:
        return "The workflow", sorted(figures)
    (notebook,) = (path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob(f"{chapter}_*.ipynb"))

    def place(name: str) -> int:
        while name and name not in notebook:
            name = name.rpartition("_")[0]  # without its variant
        return notebook.index(name)

    return re.search(r'"# (\d\d · .*?)\\n"', notebook)[1], sorted(figures, key=lambda name: (place(name), name))


def defined(name: str, caption: str) -> str:
    return rf"\expandafter\def\csname caption:{name}\endcsname{{{tex(caption, marks=MARKS)}}}%"


def figure(name: str, has_caption: bool) -> str:
    caption = rf"\csname caption:{name}\endcsname" if has_caption else tex(f"`{name}`")
    return rf"\begin{{figure}}[htbp]\centering\drawing{{{name}.pdf}}\caption{{{caption}}}\label{{fig:{name}}}\end{{figure}}"


def describe(tables: dict[str, pd.DataFrame]) -> str:
    """The paragraph under the title."""
    run = ""
    if "data_summary" in tables and "probe" in tables:
        row, seeds = tables["data_summary"].iloc[0], sorted(tables["probe"]["seed"].unique())
        run = f" The run is on {words(row['dataset'])}, {row['start']} to {row['end']}, with {len(seeds)} training "
        run += f"seed{'s' * (len(seeds) > 1)}; figures are those of the first."
    if "left_out" in tables:
        rows = tables["left_out"].itertuples()
        run += " Models whose checks failed on this history are in no table: "
        run += "; ".join(f"`{row.node}`, seed {row.seed} ({row.why})" for row in rows) + "."
    return (
        "Every figure and table of one run, written by the run itself: `make reproduce` or `make quick` publishes figures "
        f"and CSV tables, and `workflow/typeset.py` sets this article from them.{run} "
        "Figures and tables go into another paper as they are: a figure is a PDF file, a table a file of `tables/*.tex`, a "
        "whole float that needs only the package booktabs. A table prints a selection, which its caption names; its CSV "
        "file has the rest."
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("published", type=Path, help="folder with figures and tables/")
    folder = parser.parse_args(arguments).published
    tables = {path.stem: pd.read_csv(path) for path in sorted(folder.glob("tables/*.csv"))}
    made, known = print_tables(tables), folder / "captions.json"
    captions = {
        name: text
        for name, text in (json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}).items()
        if text
    }
    if lost := sorted({letter for text in captions.values() for letter in text if tex(letter) == "?" != letter}):
        logging.warning("captions have letters that pdfLaTeX may lack, add them to floats.SIGNS: %s", " ".join(lost))
    written = {f"tables/{name}.tex": text for texts in made.values() for name, text in texts.items()}
    for name, text in written.items():
        files.write(folder / name, text)
    for path in folder.glob("tables/*.tex"):
        if f"tables/{path.name}" not in written:
            path.unlink()
    figures = [path.stem for path in sorted(folder.glob("fig*.pdf"))]
    files.write(folder / "captions.tex", "\n".join([DEFINED, *(defined(*caption) for caption in captions.items()), ""]))
    files.write(folder / "paper.tex", paper(made, figures, set(captions), describe(tables)))


if __name__ == "__main__":
    main()
