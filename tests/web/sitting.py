"""`brokenpipe run --web`, and what somebody at the page does and sees."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page
from tests.stack.runs import Run, Starter, eventually, write_scenario

READY = re.compile(r"^ready: (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
PATIENCE_S = 40.0
LOOK_S = 0.3
LINGERS = 6  # looks: a failed request waits a second for what is said of it
CALM_S = 8.0  # after which something hangs
STRUCK, SPARED = "struck", "spared"

# Each fault of the wire stands in the timeline, so that it is certified before anybody can strike.
FAULTS = (
    '{ name = "socket_kill" }',
    '{ name = "commit_cut" }',
    '{ name = "idle_reset", after_ms = 100 }',
    '{ name = "idle_drop", after_ms = 100 }',
    '{ name = "black_hole" }',
    '{ name = "refuse" }',
    '{ name = "latency", ms = 400 }',
)
LOCUSTFILE = '''
"""Everybody holds a connection most of the time, so that whatever happens to one is felt."""

from locust import FastHttpUser, constant, task


class Worker(FastHttpUser):
    wait_time = constant(0.2)

    @task
    def work(self):
        self.client.get("/work", name="GET /work")
'''


@dataclass
class Sitting:
    """A running sitting."""

    run: Run
    url: str
    reports: Path

    @property
    def folders(self) -> list[Path]:
        """Of every run that somebody has started, the oldest first."""
        found = (each.parent for each in self.reports.glob("*/*/experiment.ndjson"))
        return sorted(each for each in found if not each.is_symlink())

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.url}/brokenpipe/state", timeout=10).json()
        return found

    def arm(self, name: str) -> dict[str, Any]:
        """What the page says of an arm now."""
        return next(row for row in self.state["tables"]["arms"] if row["arm"] == name)

    def have_a_run_on(self, page: Page, users: int = 7) -> None:
        """Press Start on Locust's page, unless that was done before."""
        eventually(
            lambda: self.state["state"] in {"ready", "running"}, "no stack is ready", timeout_s=PATIENCE_S
        )
        if self.state["state"] == "ready":
            locust = page.context.new_page()
            locust.goto(self.url)
            field, new = (
                locust.locator("input[name=userCount]"),
                locust.get_by_role("button", name="New", exact=True),
            )
            field.or_(new).first.wait_for()
            if not field.count():  # after a run Locust shows its statistics, with a button for the form
                new.click()
            field.fill(str(users))
            locust.get_by_role("button", name="Start", exact=True).click()
            locust.close()
        page.wait_for_selector(
            "button[name=strike]:enabled, button[name=hold]:enabled, button[name=heal]:enabled",
            timeout=PATIENCE_S * 1e3,
        )

    def stop(self, page: Page) -> None:
        """Press Stop on Locust's page."""
        locust = page.context.new_page()
        locust.goto(self.url)
        locust.get_by_role("button", name="Stop", exact=True).click()
        eventually(lambda: self.state["state"] != "running", "it does not stop", timeout_s=PATIENCE_S)
        locust.close()

    def choose(self, page: Page, fault: str, arms: tuple[str, ...] = (STRUCK,), **parameters: object) -> None:
        """Fill in the form."""
        page.select_option("select[name=fault]", fault)
        for key, value in parameters.items():
            field = page.locator(f"[name=param-{key}]")
            if field.evaluate("each => each.tagName") == "SELECT":
                field.select_option(str(value))
            else:
                field.fill(str(value))
        for arm in (STRUCK, SPARED):
            page.set_checked(f"input[name=arm][value={arm}]", arm in arms)

    def press(self, page: Page, button: str) -> str:
        """Press a button of our page; what it answers."""
        page.evaluate("document.querySelector('#answer').textContent = ''")
        page.click(f"button[name={button}]:enabled", timeout=PATIENCE_S * 1e3)
        page.wait_for_function("document.querySelector('#answer').textContent !== ''")
        return page.inner_text("#answer")

    def newest(self, fault: str, after: int) -> dict[str, Any]:
        """What was done of a fault, once there are more events than that."""

        def done() -> dict[str, Any] | None:
            events: list[dict[str, Any]] = self.state["fault_events"]
            return events[0] if len(events) > after and events[0]["fault"].startswith(fault) else None

        return eventually(done, f"nobody did {fault}: {self.state['fault_events'][:3]}", timeout_s=PATIENCE_S)

    def heal(self, page: Page) -> None:
        """Heal what is held, and wait as long as a failure takes until it is told."""
        if self.state["current"].get("held"):
            self.press(page, "heal")
        time.sleep(LINGERS * LOOK_S)

    def rest(self, page: Page) -> None:
        """Heal what is held, and wait until nothing lingers.

        What idle_drop silenced stays silent, and a pool without a time limit waits for it for ever: a kill ends that.
        """
        self.heal(page)
        if not self._calm_within(CALM_S):
            self.choose(page, "socket_kill", (STRUCK, SPARED))
            self.press(page, "strike")
            assert self._calm_within(PATIENCE_S), f"it does not come to rest: {self.state}"

    def _calm_within(self, seconds: float) -> bool:
        deadline, seen = time.monotonic() + seconds, deque[object](maxlen=LINGERS)
        while time.monotonic() < deadline:
            state = self.state
            arms = state["tables"].get("arms", [])
            counts = [(row["broken"], row["failed"]) for row in arms]
            well = state["current"].get("activity") == "hands off" and all(row["p95"] != "–" for row in arms)
            seen.append(counts if well and counts else None)
            if len(seen) == LINGERS and counts and all(each == counts for each in seen):
                return True
            time.sleep(LOOK_S)
        return False

    def summary(self, folder: Path) -> dict[str, Any]:
        """Once it is there: of the whole run, not of what there was so far."""

        def whole() -> dict[str, Any] | None:
            path = folder / "summary.json"
            return json.loads(path.read_text()) if path.exists() else None

        return eventually(whole, f"no summary in {folder}", timeout_s=PATIENCE_S)


def grows(value: Callable[[], int]) -> Callable[[], bool]:
    """Whether a count has grown since now."""
    before = value()
    return lambda: value() > before


@contextmanager
def sitting_at(starter: Starter, project: Path) -> Iterator[Sitting]:
    (starter.folder / "locustfile.py").write_text(LOCUSTFILE)
    phases = "".join(_phase(n, fault) for n, fault in enumerate(FAULTS))
    scenario = write_scenario(
        starter.folder / "hand.toml",
        phases,
        target="pooled",
        users=4,
        arms=f"{STRUCK} = {{}}\n{SPARED} = {{}}",
        env={"HOLD_MS": "500"},
        timeout_s=2.0,
    )
    reports = starter.folder / "reports"
    with starter.start("run", scenario, "--web", "--reports", reports, cwd=project) as run:
        run.wait_for(READY.pattern.replace("^", "(?m)^", 1), timeout_s=90)
        found = READY.search(run.out)
        assert found
        sitting = Sitting(run, found[1], reports)
        eventually(  # the header shows "ready" before it
            lambda: sitting.state["message"] == "press Start", f"it says {sitting.state['message']}"
        )
        yield sitting


def _phase(n: int, fault: str) -> str:
    momentary = "socket_kill" in fault or "commit_cut" in fault
    return f'[[phases]]\nname = "p{n}"\nfault = {fault}\n' + (
        "episodes = 1\nevery_s = 1\n" if momentary else "seconds = 2\n"
    )
