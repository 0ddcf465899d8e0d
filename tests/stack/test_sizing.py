"""The sizing of a pool, played for real: four users who hold a connection each need four connections.

They ask without end, so that four requests are nearly always under way: below four somebody waits, and with two
somebody waits in vain; four and six are alike. What `advise` makes of it must say so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.report.browsing import open_from_disk
from tests.report.conftest import browser as a_browser
from tests.stack.runs import REPOSITORY, Run, Starter, write_scenario
from tests.unit.shell import brokenpipe

pytestmark = pytest.mark.low_load

USERS = 4
browser = a_browser
SIZES = (2, 3, 4, 6)
PHASE = """
[[phases]]
name = "steady"
seconds = 14

[postgres]
max_connections = 9
"""


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of seven blocks; a request holds its connection for 400 ms on average."""
    folder = tmp_path_factory.mktemp("sizing")
    text = (REPOSITORY / "scenarios" / "sizing_locustfile.py").read_text()
    (folder / "users.py").write_text(re.sub(r"between\(.*?\)", "between(0.15, 0.15)", text))
    scenario = write_scenario(
        folder / "sizing.toml",
        PHASE,
        target="agent",
        locustfile="users.py",
        users=USERS,
        arms="\n".join(f'size_{size} = {{ DB_POOL_SIZE = "{size}" }}' for size in SIZES),
        env={
            "AGENT_HOLD": "session",
            "AGENT_LLM_MS": "400",
            "DB_MAX_OVERFLOW": "0",
            "DB_POOL_TIMEOUT": "0.25",
        },
    )
    run = Starter(folder).run(scenario, html=True)
    assert run.popen.returncode == 3, run.out  # nothing was expected
    return run


def _pools(run: Run) -> dict[str, dict[str, object]]:
    return {arm: each["phases"]["steady"]["pool"] for arm, each in run.summary["arms"].items()}


def test_who_waits_and_who_waits_in_vain(sized: Run) -> None:
    """Below four connections they are all in use and somebody waits, with two in vain. From four on nobody does."""
    pools = _pools(sized)
    failed = {arm: each["phases"]["steady"]["failed_by_class"] for arm, each in sized.summary["arms"].items()}
    assert [pools[f"size_{size}"]["most"] for size in SIZES] == list(SIZES)
    assert [pools[f"size_{size}"]["peak_out"] for size in SIZES] == [2, 3, 4, 4]
    assert failed["size_2"]["pool exhausted"] > 5
    assert failed["size_2"]["pool exhausted"] == pytest.approx(pools["size_2"]["gave_up"], abs=4)
    assert failed["size_4"] == failed["size_6"] == {}
    assert pools["size_2"]["peak_connections"] == 2
    assert {pool["timeout_s"] for pool in pools.values()} == {0.25}


def test_the_knee_is_where_the_users_are(sized: Run) -> None:
    """Four users, four connections, and the wait of the smaller pools is as long as it should be."""
    sizing = sized.summary["sizing"]
    rooms = {size["most"]: size["room"] for size in sizing["sizes"]}
    assert rooms == {2: "short", 3: "short", 4: "enough", 6: "enough"}
    assert sizing["knee"] == USERS
    assert sizing["unsure"] == []
    wait = {size["most"]: size["wait_p95_ms"] for size in sizing["sizes"]}
    assert wait[2] > wait[3] > sizing["tolerable_ms"] > wait[4]
    assert wait[2] >= 240  # some wait until they give up


def test_the_advice_says_so(sized: Run) -> None:
    """What a user types next: the knee, the rule of thumb, the room at Postgres, and the engine to copy."""
    advised = brokenpipe("advise", str(sized.folder))
    text = " ".join((advised.out + advised.err).split())
    assert advised.exit_code == (0 if sized.summary["sizing"]["known"] else 3), (
        advised
    )  # a busy machine is in doubt
    assert "The knee is at 4 connections" in text
    assert "pool_size=4, max_overflow=0," in text
    assert "says 4 × 1.2 / 1 worker = 5; measured: enough, 1 more than the knee" in text
    assert "In all 1 × 4 = 4 connections, of 6 that Postgres has for services: below half" in text
    assert "users of this run waited for answers" not in text.lower()  # measured, not scaled


def test_the_report_draws_the_curve(sized: Run, browser: Browser) -> None:
    """Both charts are there and drawn, the page asks nobody, and it fits narrow windows."""
    context = browser.new_context()
    opened = open_from_disk(context, Path(sized.folder) / "report.html")
    section = opened.page.locator("#pool-size")
    assert "The knee is at 4 connections" in section.inner_text()
    for chart in ("#chart-size-wait", "#chart-size-share"):
        box = section.locator(f"{chart} .bk-Figure").bounding_box()
        assert box is not None
        assert box["height"] > 100
    assert section.locator("tr.recommended").inner_text().startswith("size_4")
    opened.assert_fits()
    opened.assert_quiet()
    context.close()
