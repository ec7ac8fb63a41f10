"""Every page of the site, at two widths and in two colour schemes, from disk."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.watching import browser, new_page, told

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
SCHEMES = ("light", "dark")
TALL = 3000  # pixels of a screenshot
HEAVIEST = 2_000_000  # bytes that a page loads when it is opened
CHAPTER = "chapters/07_conditional.html"
INSPECTED = ("index.html", CHAPTER, "guides/results.html", "gallery.html", "guides/glossary.html")
PICTURED = INSPECTED[:-1]
GRAVE = ("critical", "serious")
WEIGHT = (
    """() => performance.getEntries().filter(e => 'encodedBodySize' in e).reduce((sum, e) => sum + e.encodedBodySize, 0)"""
)
PICTURES = """async () => {
  const pictures = [...document.images], name = each => each.currentSrc || each.src;
  for (const each of pictures) each.loading = 'eager';
  await Promise.all(pictures.map(each => each.decode().catch(() => {})));
  return {count: pictures.length, broken: pictures.filter(each => !each.naturalWidth).map(name),
          silent: pictures.filter(each => !each.alt.trim()).map(name)};
}"""
TOO_WIDE = """width => {
  if (document.documentElement.scrollWidth <= width) return '';
  const wide = [...document.body.querySelectorAll('*')].filter(each => each.getBoundingClientRect().right > width + 1);
  const isBox = each => ['auto', 'scroll', 'hidden'].includes(getComputedStyle(each).overflowX);
  const isInBox = each => each && (isBox(each) || isInBox(each.parentElement));
  const first = wide.find(each => !isInBox(each));
  return `${document.documentElement.scrollWidth} px wide` + (first ? `: ${first.outerHTML.slice(0, 120)}` : '');
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        """The browser says what failed."""

    def end_headers(self) -> None:
        """Each page is weighed as if it were the first that is opened."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a folder on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def inspect(page: Page, name: str, scheme: str) -> list[str]:
    """Run axe-core on the page as it stands; print its findings by impact and return the grave ones."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    impacts = [each["impact"] for each in found for _ in each["nodes"]]
    counts = ", ".join(f"{impacts.count(impact)} {impact}" for impact in (*GRAVE, "moderate", "minor"))
    print(f"axe-core on {name}, {scheme}: {counts}", flush=True)
    for each in found:
        print(f"    {each['impact']}, {each['help']} ({each['id']}): {each['nodes'][0]['html'][:120]}", flush=True)
    return [
        f"{each['impact']}, {each['help']} ({each['id']}): {node['html'][:200]} {' '.join(node['failureSummary'].split())}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


def look(site: Path, pictures: Path) -> list[str]:
    """Open every page of a site; returns what is wrong."""
    names = sorted(
        (str(path.relative_to(site)) for path in site.rglob("*.html")), key=lambda name: (name != "index.html", name)
    )
    wrong = [f"{name}: no such page" for name in INSPECTED if name not in names]
    with browser() as chromium, served(site) as url:
        opened = {size: new_page(chromium, *measures) for size, measures in SIZES.items()}
        for name in names:
            found = [fault for size in SIZES for fault in visit(*opened[size], f"{url}/{name}", name, size, pictures)]
            wrong += found
            if found:
                print(f"    {len(found)} faults", flush=True)
        page, heard = opened["desktop"]
        for name in ("index.html", CHAPTER):
            page.goto((site / name).resolve().as_uri())
            print(f"{name} from file://", flush=True)
            wrong += told(heard, f"{name} from file://")
    return wrong


def visit(page: Page, heard: list[str], url: str, name: str, size: str, pictures: Path) -> list[str]:
    """Open a page at one width and look at it in both colour schemes; returns what is wrong."""
    page.emulate_media(color_scheme=SCHEMES[0])
    page.goto(url)
    opening = page.evaluate(WEIGHT)
    images, whole = page.evaluate(PICTURES), page.evaluate(WEIGHT)
    faults = [f"no alt text: {each}" for each in images["silent"]] + [f"no picture: {each}" for each in images["broken"]]
    if opening > HEAVIEST:
        faults.append(f"{opening / 1e6:.2f} MB when it is opened")
    if size == "desktop":
        weight = f"{opening / 1e6:.2f} MB opened, {whole / 1e6:.2f} MB read to its end"
        print(f"{name}: {weight}, {images['count']} pictures", flush=True)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        if wide := page.evaluate(TOO_WIDE, SIZES[size][0]):
            faults.append(f"{scheme}: {wide}")
        if size == "desktop" and name in INSPECTED:
            faults += [f"{scheme}: {each}" for each in inspect(page, name, scheme)]
        if name in PICTURED and (size == "desktop" or name == CHAPTER):
            page.set_viewport_size({"width": SIZES[size][0], "height": TALL})
            page.screenshot(path=pictures / f"{Path(name).stem}_{size}_{scheme}.png")
            page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    return [f"{name}, {size}: {each}" for each in faults] + told(heard, f"{name}, {size}")
