"""What happens when JupyterLab saves a notebook: its outputs stay in the file, and git sees no change of the source."""

import subprocess
import threading
from pathlib import Path

one_at_a_time = threading.Lock()


def refresh_git(os_path: str, model: dict, **_) -> None:
    """Have `refresh` look at a saved notebook while the server goes on; a hook of Jupyter's server."""
    if model.get("type") == "notebook":
        threading.Thread(target=refresh, args=(Path(os_path),), daemon=True).start()


def refresh(path: Path) -> None:
    """Tell git that a notebook is what it knows, when all that differs are outputs.

    git takes a file of another length for a changed one before it asks the filter that `make lab` sets up. The filter
    takes seconds for a long notebook.
    """

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=path.parent, capture_output=True, encoding="utf-8")
        return "" if result.returncode else result.stdout

    with one_at_a_time:
        try:
            if git("rev-parse", f":./{path.name}") == git("hash-object", path.name) != "":
                git("add", path.name)  # the same content: nothing is staged
        except OSError:  # no git here
            return
