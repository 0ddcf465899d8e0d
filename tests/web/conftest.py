"""One sitting at Locust's web UI for all tests of this folder, in the system's own Chromium."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from tests.report.conftest import browser  # noqa: F401
from tests.stack.conftest import make_project
from tests.stack.runs import Starter
from tests.web.sitting import Sitting, sitting_at


@pytest.fixture(scope="module")
def sitting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sitting]:
    """Two arms that are the same, so that whatever differs is what was done to one of them."""
    starter = Starter(tmp_path_factory.mktemp("web"))
    with sitting_at(starter, make_project(starter.folder / "project")) as sitting:
        yield sitting
        sitting.run.send(signal.SIGINT)
        assert sitting.run.end() == 130, sitting.run.out


@pytest.fixture(scope="module")
def window(browser: Browser, sitting: Sitting) -> Iterator[Page]:  # noqa: F811
    """Our own page, open all the while."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{sitting.url}/brokenpipe/")
    yield page
    context.close()


@pytest.fixture
def page(window: Page, sitting: Sitting) -> Page:
    """Our own page, with a run that is on and nothing held."""
    sitting.have_a_run_on(window)
    sitting.rest(window)
    return window
