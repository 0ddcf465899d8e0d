"""Every sample rendered, at most once in a test run: it takes half a second each."""

from __future__ import annotations

from functools import cache

from tests.report import samples

from brokenpipe.report.run.html import render_html


@cache
def rendered(name: str) -> str:
    """Render a sample by its name."""
    return render_html(samples.EVERY[name]())
