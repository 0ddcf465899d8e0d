"""The page as a browser sees it: opened from disk in the system's own Chromium."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext
from tests.report import building, samples
from tests.report.browsing import Opened, open_from_disk
from tests.report.pages import rendered

LINES = """() => JSON.parse(document.getElementById("drawn").textContent).roles.lines.map(
    ([id, arm]) => [arm, Bokeh.documents[0].get_model_by_id(id).visible])"""
RANGES = """() => [...new Set(Bokeh.documents[0].roots().filter((plot) => !plot.y_range.factors).map((plot) =>
    [plot.x_range.start, plot.x_range.end].map((end) => end.toFixed(3)).join()))]"""
COLOURS = """() => JSON.parse(document.getElementById("drawn").textContent).roles.lines.map(
    ([id]) => Bokeh.documents[0].get_model_by_id(id).glyph.line_color.value)"""
SMUGGLED = """async (address) => {
    const script = document.createElement("script");
    script.textContent = "window.pwned = 1";
    document.body.append(script);
    const image = new Image();
    const loaded = new Promise((done) => {
        image.onload = () => done("sent");
        image.onerror = () => done("refused");
    });
    image.src = address + "pixel.png";
    document.body.append(image);
    const fetched = fetch(address, { mode: "no-cors" }).then(() => "sent", () => "refused");
    return { image: await loaded, fetch: await fetched, script: window.pwned ?? null };
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every sample, written once."""
    folder = tmp_path_factory.mktemp("pages")
    for name in samples.EVERY:
        (folder / f"{name}.html").write_text(rendered(name), encoding="utf-8")
    return folder


def open_page(context: BrowserContext, folder: Path, name: str) -> Opened:
    """Open a sample from disk and wait until its charts are drawn."""
    return open_from_disk(context, folder / f"{name}.html")


@pytest.mark.parametrize("name", samples.EVERY)
def test_every_page_opens_from_disk_at_every_size(context: BrowserContext, folder: Path, name: str) -> None:
    """No request, no error, and no sideways scrolling at 400 and at 1600 pixels, light and dark."""
    opened = open_page(context, folder, name)
    opened.assert_fits()
    opened.assert_quiet()
    assert opened.page.locator("h1").count() == 1


def test_text_of_others_does_not_run(context: BrowserContext, folder: Path) -> None:
    """Arm names and exceptions that try to be scripts are text, in tables, charts and tooltips alike."""
    opened = open_page(context, folder, "hostile")
    page = opened.page
    for summary in page.locator("summary").all():
        summary.click()
    chart = page.locator("#chart-p95")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    for step in range(60, int(box["width"]) - 10, 40):
        page.mouse.move(box["x"] + step, box["y"] + 20 + step % 90)
    page.locator(".legend button").first.click()
    assert page.evaluate("() => window.pwned") is None
    assert page.locator("img").count() == 0
    assert samples.HOSTILE in page.locator("h1").inner_text()
    opened.assert_quiet()


def test_the_page_forbids_what_it_does_not_need(context: BrowserContext, folder: Path) -> None:
    """Even markup that slipped through could neither run a script nor reach the network."""
    page = open_page(context, folder, "default").page
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        outcome = page.evaluate(SMUGGLED, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert outcome == {"image": "refused", "fetch": "refused", "script": None}
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_click_in_the_legend_hides_an_arm_in_every_chart(context: BrowserContext, folder: Path) -> None:
    """One button hides and shows an arm's line in all charts, by mouse and by keyboard, and says its state."""
    page = open_page(context, folder, "default").page
    button = page.locator(".legend button", has_text="pre_ping")
    button.click()
    lines = page.evaluate(LINES)
    assert len(lines) == 6 * len(samples.ARMS)
    assert all(shown == (arm != 1) for arm, shown in lines)
    assert button.get_attribute("aria-pressed") == "false"
    button.focus()
    page.keyboard.press("Space")
    assert all(shown for _, shown in page.evaluate(LINES))


def test_charts_zoom_together(context: BrowserContext, folder: Path) -> None:
    """A drag across one chart zooms all of them; so does the button of a phase; another shows all again."""
    page = open_page(context, folder, "default").page
    [whole] = page.evaluate(RANGES)
    chart = page.locator("#chart-failed")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 70, steps=5)
    page.mouse.up()
    [dragged] = page.evaluate(RANGES)
    assert dragged != whole
    page.locator(".zoom button", has_text="socket_kill").click()
    [phase] = page.evaluate(RANGES)
    found = samples.default().phases[1]
    start, end = map(float, phase.split(","))
    assert start < found.start_s < found.end_s < end < found.end_s + 2
    page.locator(".zoom button", has_text="Whole run").click()
    assert page.evaluate(RANGES) == [whole]


def test_charts_follow_the_colour_scheme(context: BrowserContext, folder: Path) -> None:
    """When the system turns dark while the page is open, so do the charts' colours."""
    page = open_page(context, folder, "default").page
    light = page.evaluate(COLOURS)
    assert light[0] == "#0072b2"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-drawn=dark]")
    assert page.evaluate(COLOURS)[0] == "#56a8e8"
    assert not set(light) & set(page.evaluate(COLOURS))


def test_the_settings_can_be_copied(context: BrowserContext, folder: Path) -> None:
    """The button says that it copied, and what can be pasted is the settings to the letter."""
    page = open_page(context, folder, "default").page
    button = page.locator("button[data-copy=settings]")
    button.click()
    page.wait_for_function("() => document.querySelector('[data-copy=settings]').textContent === 'Copied'")
    page.evaluate("() => document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("ControlOrMeta+V")
    assert page.locator("textarea").input_value().strip() == building.SETTINGS


def test_everything_but_the_charts_is_there_without_javascript(browser: Browser, folder: Path) -> None:
    """A mail program that runs no script shows verdict, table and settings, and says what is missing."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((folder / "default.html").as_uri())
    text = page.locator("main").inner_text()
    for part in (
        "all 3 checks hold",
        "7 stale · 23 in use",
        "pool_pre_ping=True",
        "The charts need JavaScript.",
    ):
        assert part in text
    assert not page.locator(".legend").is_visible()
    assert not page.locator("button[data-copy]").first.is_visible()
    context.close()


def test_on_paper_everything_is_open(context: BrowserContext, folder: Path) -> None:
    """Printing opens what is folded, keeps the charts within the page, and folds again afterwards."""
    page = open_page(context, folder, "default").page
    page.evaluate("""() => addEventListener("beforeprint", () => {
        window.folded = document.querySelectorAll(".groups details:not([open])").length;
    })""")
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert page.evaluate("() => window.folded") == 0
    assert page.locator(".groups details[open]").count() == 0
    zoom = page.evaluate("() => getComputedStyle(document.documentElement).getPropertyValue('--print-zoom')")
    assert 0.5 < float(zoom) < 1


def test_phases_are_named_as_far_as_there_is_room(context: BrowserContext, folder: Path) -> None:
    """A wide strip shows each phase's name and fault, a narrow one shorter names or its number."""
    page = open_page(context, folder, "default").page
    texts = """() => JSON.parse(document.getElementById("drawn").textContent).roles.labels.map(
        (label) => Bokeh.documents[0].get_model_by_id(label.id).text)"""
    page.set_viewport_size({"width": 1600, "height": 900})
    page.wait_for_function(f"() => ({texts})().includes('socket_kill · reset')")
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_function(f"() => ({texts})()[2] === '3'")
    assert page.evaluate(texts)[3] == "idle_reset"
