"""A page opened from disk, and all that it did which a page from disk must not do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from brokenpipe.stack.processes.ports import poll

WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Opened:
    """A page, the requests it made and the errors it reported."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        assert self.requests == [], "the page asked the network"
        assert self.errors == [], "the page reported an error"

    def assert_fits(self) -> None:
        """No sideways scrolling at 400 and at 1600 pixels, light and dark."""
        for width in (400, 1600):
            self.page.set_viewport_size({"width": width, "height": 900})
            assert self._fits(), f"wider than {width} px"
        self.page.emulate_media(color_scheme="dark")
        assert self._fits(), "wider in the dark"

    def _fits(self) -> bool:
        """Charts take their new width a moment after the page has."""
        return poll(lambda: self.page.evaluate(WIDER) <= 0 or None, timeout_s=5) is True


def open_from_disk(context: BrowserContext, path: Path) -> Opened:
    """Open a file and wait until its charts are drawn."""
    opened = Opened(context.new_page())
    page = opened.page
    page.on(
        "request", lambda r: None if r.url.startswith(("file:", "data:")) else opened.requests.append(r.url)
    )
    page.on("console", lambda m: opened.errors.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.goto(path.as_uri())
    if page.locator("#drawn").count():
        page.wait_for_selector("html[data-ready]", timeout=20_000)
    return opened
