"""Compile what the paper prints: the article with everything, then each table alone in a plain article.

python tests/latex.py figures/paper [--keep folder]

Needs pdflatex (Debian: texlive-latex-recommended, texlive-fonts-recommended). Works in a temporary folder, prints a line a
document, and fails on a box that is too full, a float too large, a missing file, an undefined reference, or a warning.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = "texlive-latex-recommended texlive-fonts-recommended"
LARGEST = 20_000  # bytes of a table
ALONE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[margin=1in]{geometry}
\usepackage{booktabs}
\begin{document}
\input{tables/%s}
\end{document}
"""
FAULTS = re.compile(r"^(?:! .*|Overfull .*|.*(?:LaTeX|Package|Class)(?: \w+)? (?:Warning|Error): .*)", re.MULTILINE)
HARMLESS = ("Label(s) may have changed", "Token not allowed in a PDF string")  # of a first pass; of a heading's bookmark


def compiled(name: str, source: Path, folder: Path, passes: int = 2) -> list[str]:
    """Faults of one document, compiled in `source`; what comes out lies in `folder`, and a line about it is printed."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"-output-directory={folder}", str(folder / name)]
    for _ in range(passes):
        code = subprocess.run(command, cwd=source, stdin=subprocess.DEVNULL, capture_output=True).returncode
    log = (folder / f"{name}.log").read_text(errors="replace")
    faults = [line for line in FAULTS.findall(log) if not any(harmless in line for harmless in HARMLESS)]
    if code and not faults:
        faults = [log[-2000:]]
    pages = re.search(r"Output written on .*?\((\d+) pages?, (\d+) bytes", log.replace("\n", ""))
    size = f"{pages[1]} pages, {int(pages[2]) / 1e6:.1f} MB" if pages else "nothing"
    print(f"{name}: {size}, {log.count('Overfull')} boxes too full, {len(faults)} faults", flush=True)
    return [f"{name}: {fault}" for fault in faults]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("published", type=Path, help="folder with paper.tex, figures and tables/")
    parser.add_argument("--keep", type=Path, help="folder for paper.pdf")
    options = parser.parse_args(arguments)
    if not shutil.which("pdflatex"):
        sys.exit(f"pdflatex is not here; on Debian: apt-get install {PACKAGES}")
    if not (options.published / "paper.tex").exists():
        sys.exit(f"{options.published} has no paper.tex: publish a run, or call workflow/typeset.py on it")
    tables = sorted(options.published.glob("tables/*.tex"))
    faults = [f"{path.name}: more than {LARGEST} bytes" for path in tables if path.stat().st_size > LARGEST]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(options.published / "paper.tex", folder)
        faults += compiled("paper", options.published, folder)
        if options.keep and (folder / "paper.pdf").exists():
            options.keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "paper.pdf", options.keep)
        for path in tables:
            (folder / f"{path.stem}.tex").write_text(ALONE % path.stem)
            faults += compiled(path.stem, options.published, folder, passes=1)
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
