"""A chapter of the site as a PDF, printed by Chromium."""

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from workflow.site.places import Site

FLAGS = """--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update
--disable-sync --allow-file-access-from-files --no-pdf-header-footer --virtual-time-budget=60000""".split()
log = logging.getLogger("site")


def browser() -> str:
    """Chromium's program: CHROMIUM, else what stands on the path. Ends the program with advice when there is none."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((shutil.which(name) for name in names if name and shutil.which(name)), None)
    if not found:
        sys.exit("this needs Chromium: install it (Debian: apt-get install chromium), or set CHROMIUM=/path/to/it")
    return found


def print_chapter(site: Site, stages: dict[str, list[str]], chapter: str, variant: str) -> Path:
    """Print a page of the site to `pdf/<node>.pdf`; the page must have been rendered."""
    stage = next((name for name in stages if name.startswith(f"{chapter}_") or name == chapter), None)
    if stage is None:
        sys.exit(f"no chapter {chapter!r}: CHAPTER is one of {', '.join(name[:2] for name in stages)}")
    node = f"{stage}.{variant}" if variant else stages[stage][0]
    if node not in stages[stage]:
        known = ", ".join(filter(None, (name.partition(".")[2] for name in stages[stage])))
        sys.exit(f"chapter {chapter} has no variant {variant!r}: it has {known or 'none'}")
    program, page, to = browser(), site.to / f"chapters/{node}.html", site.to / f"pdf/{node}.pdf"
    to.parent.mkdir(exist_ok=True)
    # a copy beside the page, whose pictures do not wait until they are scrolled to and whose answers are open
    text = page.read_text(encoding="utf-8").replace(' loading="lazy"', "")
    text = re.sub(r'<details( class="[^"]*")?>', r"<details\1 open>", text)
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=page.parent, prefix=".", encoding="utf-8") as copy:
        copy.write(text)
        copy.flush()
        with tempfile.TemporaryDirectory() as profile:
            command = [program, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={to.resolve()}"]
            answer = subprocess.run(
                [*command, Path(copy.name).resolve().as_uri()], capture_output=True, encoding="utf-8", errors="replace"
            )
    if answer.returncode or not to.exists():
        sys.exit(f"{program} printed nothing: {answer.stderr.strip()[-500:]}")
    log.info("%s", to)
    return to
