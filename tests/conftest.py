"""What holds for every test."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from brokenpipe.errors import NamespaceError
from brokenpipe.stack.packet_loss import namespace

TESTS = Path(__file__).parent
LONGEST = (
    "sabotage/test_sabotage.py",
    "workflows/test_nights.py",
    "web/test_web_ui.py",
    "stack/test_interrupt.py",
    "containers/test_compose_stack.py",
    "containers/test_every_way.py",
    "stack/test_pgbouncer.py",
    "stack/test_faults_in_turn.py",
    "stack/test_secrets.py",
    "servers/test_combinations.py",
    "strangers/test_threads.py",
    "stack/test_forgotten.py",
    "stack/test_packet_drop.py",
    "init/test_init.py",
)  # files that take a minute and more, the longest first
LONG = {"workflows", "stack", "containers", "strangers", "sabotage", "init"}  # folders of whole runs
ONE_PROCESS = ("agent",)  # folders whose files share what takes seconds to start
MARKS = {
    "containers": "low_load",
    "wire": "low_load",
    "silence_matrix": "low_load",
    "ground_truth": "exclusive",
}  # of every test in these folders that has no mark of its own


# A slow machine is no defect of the code, and a test run that cannot be repeated is of no use.
settings.register_profile("repeatable", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("repeatable")


def pytest_configure() -> None:
    """A CI job that runs out of time is terminated: end as by Ctrl-C, so that fixtures stop what they have started.

    In the background of a shell Ctrl-C is ignored, also by what is started from here: tests that press it need it.
    """
    gc.set_threshold(
        50_000
    )  # what is imported and collected stays: looking through it took a fifth of that time
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Low load beside what a raw socket sees of a fault, or none if its file says so. Planted truth runs alone.

    Whole runs come first, the longest files before the others, which keep the order that chance gave them: what takes a
    minute shall not begin when all else is over.
    """
    items.sort(key=lambda item: _turn(item.path.relative_to(TESTS)))
    for item in items:
        mark = MARKS.get(item.path.relative_to(TESTS).parts[0])
        if mark and not item.get_closest_marker("exclusive"):
            item.add_marker(mark)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """With --dist loadfile a file stays in one process; so does a folder of ONE_PROCESS."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = together_with
    return scheduler


def together_with(nodeid: str) -> str:
    """What a test shares its process with: its file, or its folder."""
    file = Path(nodeid.partition("::")[0])
    return str(file.parent if file.parent.name in ONE_PROCESS else file)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Who needs images waits for those that are still being made, before the clock of any test runs."""
    being_made = os.environ.get("BROKENPIPE_TEST_IMAGES")
    if being_made and any("engine" in getattr(item, "fixturenames", ()) for item in session.items):
        with Path(being_made).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)


def _turn(path: Path) -> int:
    if str(path) in LONGEST:
        return LONGEST.index(str(path))
    if path.parts[0] in ONE_PROCESS:
        return 1  # together they take as long as the longest files
    return len(LONGEST) + (path.parts[0] not in LONG)


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skips, and says why, where this machine lets nobody make a network namespace."""
    try:
        namespace.find_entry_method()
    except NamespaceError as error:
        pytest.skip(f"{error.message}; {'; '.join(error.details)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a skip fails: there, whatever a test needs has to be there."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module may be skipped, too."""
    report = yield
    _fail_if_skipped(report)
    return report


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"with CI=true nothing may be skipped. {reason}"
