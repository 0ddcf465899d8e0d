"""Locust's web UI as somebody uses it who breaks the wire by hand. One sitting for all of it, in any order."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from playwright.sync_api import Page
from tests.stack.runs import REPOSITORY, eventually
from tests.unit.shell import brokenpipe
from tests.web.sitting import PATIENCE_S, SPARED, STRUCK, Sitting, grows

pytestmark = pytest.mark.low_load

# What each fault of the wire makes of requests that hold a connection: the rate of the arm, its failures, or its p95.
SHOWS = {
    "socket_kill": "broken",
    "idle_reset": "broken",
    "commit_cut": "broken",
    "refuse": "failed",
    "idle_drop": "failed",
    "black_hole": "failed",
    "latency": "p95",
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "idle_reset": {"after_ms": 100},
    "idle_drop": {"after_ms": 100},
    "latency": {"ms": 400},
}


@pytest.mark.parametrize("fault", SHOWS)
def test_a_fault_on_one_arm_is_felt_there_and_nowhere_else(sitting: Sitting, page: Page, fault: str) -> None:
    """Struck or held by hand on one arm: its figures get worse on the page while the other's do not."""
    what, spared, events = SHOWS[fault], sitting.arm(SPARED), len(sitting.state["fault_events"])
    sitting.choose(page, fault, **PARAMETERS.get(fault, {}))
    strikes = fault in {"socket_kill", "commit_cut"}
    felt = (
        (lambda: int(sitting.arm(STRUCK)["p95"].split()[0]) > 1000)
        if what == "p95"
        else grows(lambda: int(sitting.arm(STRUCK)[what]))
    )
    assert "at once" in sitting.press(page, "strike" if strikes else "hold")
    assert sitting.newest(fault, events)["arms"] == [STRUCK]
    if strikes:  # one may find nobody at work
        for _ in range(5):
            if _within(felt, 4.0):
                break
            sitting.press(page, "strike")
    eventually(felt, f"{what} of the struck arm does not rise: {sitting.arm(STRUCK)}", timeout_s=PATIENCE_S)
    if what == "broken":
        assert float(sitting.arm(STRUCK)["rate"].split()[0]) > 0, sitting.arm(STRUCK)
    if not strikes:
        page.locator("#state", has_text=f"{fault}").wait_for()
        page.locator("#fault-events tr.on", has_text=fault).wait_for()
    sitting.heal(page)
    after = sitting.arm(SPARED)
    assert (after["broken"], after["failed"]) == (spared["broken"], spared["failed"])
    newest = sitting.newest(fault, events)
    landed, watched = newest["detected"].split(" of ")
    assert landed == watched != "0", newest


def _within(so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := so()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def test_users_are_the_total_and_equal(sitting: Sitting, page: Page) -> None:
    """Seven users of two arms are eight, four each; the page says so, and has a row for each arm."""
    said = requests.get(f"{sitting.url}/stats/requests", timeout=10).json()
    assert said["user_count"] == 8
    names = {row["name"] for row in said["stats"]}
    assert {f"GET /work · {STRUCK}", f"GET /work · {SPARED}"} <= names
    locust = page.context.new_page()
    locust.goto(f"{sitting.url}/?tab=arms")
    assert "total of 2 arms, rounded up" in locust.inner_text("nav")
    for arm in (STRUCK, SPARED):
        locust.get_by_role("cell", name=arm, exact=True).wait_for()
    locust.goto(f"{sitting.url}/?tab=faults")
    locust.get_by_role("cell", name=re.compile("timeline: latency")).wait_for()


def test_a_form_that_is_wrong_says_so_in_the_page(sitting: Sitting, page: Page) -> None:
    """The message names the field, what was found and what is allowed; and nothing happens to anybody."""
    events = len(sitting.state["fault_events"])
    sitting.choose(page, "latency", ms=0)
    assert sitting.press(page, "hold") == "fault.ms: found 0; must be 1 or more"
    sitting.choose(page, "server_restart")
    assert "all arms share" in sitting.press(page, "strike")
    sitting.choose(page, "socket_kill", arms=())
    assert "at least one" in sitting.press(page, "strike")
    assert len(sitting.state["fault_events"]) == events


FORGED = """async (url) => {
    const post = (path, body, type) =>
        fetch(url + path, { method: "POST", mode: "no-cors", body, headers: { "Content-Type": type } }).catch(() => {});
    await post("/stop", "", "text/plain");
    await post("/stats/reset", "", "text/plain");
    await post("/swarm", "user_count=100&spawn_rate=100", "application/x-www-form-urlencoded");
    const strike = { command: "strike", fault: { name: "socket_kill" } };
    await post("/brokenpipe/commands", JSON.stringify(strike), "text/plain");
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: url + "/stop", target: "frame" });
    document.body.append(Object.assign(document.createElement("iframe"), { name: "frame" }), form);
    form.submit();
    return fetch(url + "/brokenpipe/state").then((response) => response.text(), () => "not readable");
}"""


@contextmanager
def _another_page() -> Iterator[str]:
    """A page of another origin, on the same machine: for a browser that is the same site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<body>Come and look at my cats.</body>")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_another_page_can_do_nothing(sitting: Sitting, page: Page) -> None:
    """A page that somebody has open beside ours can neither start, stop nor strike, nor read what we show."""
    events = len(sitting.state["fault_events"])
    with _another_page() as address:
        other = page.context.new_page()
        other.goto(address)
        assert other.evaluate(FORGED, sitting.url) == "not readable"
        other.wait_for_timeout(1000)
        other.close()
    assert sitting.state["state"] == "running"
    assert len(sitting.state["fault_events"]) == events
    said = requests.get(f"{sitting.url}/stats/requests", timeout=10).json()
    assert said["user_count"] == 8
    assert said["stats"][-1]["num_requests"] > 0, "/stats/reset has been obeyed"


@pytest.mark.parametrize("path", ["/swarm", "/stop", "/stats/reset", "/user", "/brokenpipe/commands"])
def test_a_request_without_an_origin_of_ours_is_refused(sitting: Sitting, path: str) -> None:
    """Every route that changes something, Locust's own too: no origin, another one, or another name of this host."""
    port = sitting.url.rpartition(":")[2]
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": sitting.url, "Host": f"evil.example:{port}"},
    ):
        answer = requests.post(f"{sitting.url}{path}", json={}, headers=headers, timeout=10)
        assert answer.status_code == 403, (headers, answer.text)


def test_only_this_machine_is_served(sitting: Sitting) -> None:
    """The port is open on the loopback and nowhere else."""
    port = int(sitting.url.rpartition(":")[2])
    listeners = {
        each.laddr.ip
        for each in psutil.net_connections("tcp")
        if each.status == "LISTEN" and each.laddr and each.laddr.port == port
    }
    assert listeners == {"127.0.0.1"}


def test_stop_makes_a_report_and_the_next_start_a_folder_of_its_own(sitting: Sitting, page: Page) -> None:
    """What was done by hand stands in a report like any other, one click away; runs do not mix."""
    sitting.choose(page, "socket_kill")
    sitting.press(page, "strike")
    sitting.press(page, "report")
    page.locator("#reports li", has_text="so far").get_by_role("link").wait_for(timeout=PATIENCE_S * 1e3)
    sitting.rest(page)
    folder = sitting.folders[-1]
    sitting.stop(page)
    item = page.locator("#reports li", has_text=folder.name).filter(has_text="ready")
    item.wait_for(timeout=PATIENCE_S * 1e3)
    with page.context.expect_page() as opened:
        item.get_by_role("link").click()
    opened.value.get_by_text(f"hand_socket_kill_{STRUCK}").first.wait_for()
    _assert_like_any_other(sitting, folder)
    sitting.have_a_run_on(page)
    assert sitting.folders[-1] != folder
    assert (folder.parent / "latest").resolve() == sitting.folders[-1]


def _assert_like_any_other(sitting: Sitting, folder: Path) -> None:
    """The same files, and in them a phase for what was done by hand with a strike as its episode."""
    summary = sitting.summary(folder)
    assert summary["verdict"] == "unknown", "nothing was expected, so nothing can pass"
    assert {"hands_off", f"hand_socket_kill_{STRUCK}"} <= set(summary["arms"][STRUCK]["phases"])
    struck = summary["arms"][STRUCK]["phases"][f"hand_socket_kill_{STRUCK}"]
    assert struck["episodes"] >= 1
    codes = {warning["code"] for warning in summary["warnings"]}
    assert not codes & {"fault_did_not_land", "contract_not_probed", "act_failed"}, summary["warnings"]
    plan = json.loads((folder / "plan.json").read_text())
    assert [phase["arms"] for phase in plan["scenario"]["phases"] if phase["name"].endswith(STRUCK)]
    assert plan["scenario"]["load"]["users"] == 4
    lines = (folder / "experiment.ndjson").read_text().splitlines()
    assert json.loads(lines[-1])["how"] == "done"


def test_a_port_that_is_taken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, and what to do; nothing was started."""
    monkeypatch.chdir(REPOSITORY)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answer = brokenpipe("run", "quick", "--web", "--web-port", str(port), "--reports", str(tmp_path))
    assert answer.exit_code == 2, answer
    assert f"--web-port {port}: another program listens" in answer.said
