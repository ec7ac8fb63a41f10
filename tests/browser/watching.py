"""Chromium that reaches this machine alone, and what its pages complain about."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from workflow.site.printing import browser as chromium

FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()
FLAGS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # a request to elsewhere fails at once
HERE = ("127.0.0.1", "localhost")
PATIENCE = 120_000  # milliseconds for anything a page is asked for


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def is_elsewhere(url: str) -> bool:
    """Whether an address leads to another machine; `data:`, `blob:` and `file:` do not."""
    return urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).hostname not in HERE


def new_page(chromium: Browser, width: int, height: int) -> tuple[Page, list[str]]:
    """A page with a cache of its own, and the list of what it complains about."""
    context = chromium.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PATIENCE)
    heard = watch(context)
    return context.new_page(), heard


def watch(context: BrowserContext) -> list[str]:
    """A list that grows with every error on the console, exception, request that fails and request to another machine."""
    heard = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            heard.append(f"console: {message.text} ({message.location['url']}:{message.location['lineNumber']})")

    def ask(url: str) -> None:
        if is_elsewhere(url):
            heard.append(f"request to another machine: {url}")

    def fail(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # of a page that was left
            heard.append(f"request failed: {request.url} ({request.failure})")

    context.on("console", hear)
    context.on("weberror", lambda error: heard.append(f"exception: {error.error}"))
    context.on("request", lambda request: ask(request.url))
    context.on("requestfailed", fail)
    context.on("page", lambda page: page.on("websocket", lambda socket: ask(socket.url)))
    return heard


def told(heard: list[str], where: str) -> list[str]:
    """What was heard since the last call, each once, with the place where it happened."""
    found = [f"{where}: {each}" for each in dict.fromkeys(heard)]
    heard.clear()
    return found
