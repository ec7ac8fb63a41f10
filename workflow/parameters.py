"""Write guides/parameters.md: every parameter of every notebook, from the first cells of the notebooks.

python workflow/parameters.py
"""

from pathlib import Path

from chaoslib.pipeline import settings

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Parameters

What each notebook may be asked. `python workflow/parameters.py` makes this page from the parameters cells of the notebooks,
where a comment ends with what is allowed. A square bracket belongs to an interval and a round one does not; *each* is said
of the entries of a list. The [params files](../params/paper) of the workflow, papermill's `-p` and a value that you change
by hand in JupyterLab are held against the same rules before anything is computed. A wrong value stops with the file, the key
and what it must be.

`RUN_DIR`, of every notebook, is the folder where runs are written, relative to the repository.
"""


def guide(root: Path) -> str:
    parts = [HEAD]
    for notebook in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        parts += [
            f"\n## [{notebook.stem}](../notebooks/{notebook.name})\n",
            "| key | default | allowed | meaning |",
            "|---|---|---|---|",
        ]
        for key, parameter in settings.parameter_cell(notebook).items():
            if key == "RUN_DIR":
                continue
            allowed = parameter.allowed or {bool: "True or False"}.get(parameter.type, "a text")
            shown = f"`{parameter.default!r}`" if parameter.default != "" else "empty"
            parts.append(
                f"| `{key}` | {shown} | {parameter.wanted() if parameter.type is list else allowed} | {parameter.meaning} |"
            )
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    (ROOT / "guides/parameters.md").write_text(guide(ROOT), encoding="utf-8")
