"""Everything that can go wrong with the instrument goes wrong for real: the verdict is unknown, and says why.

One run for all of it: its arms and its phases keep apart what is done. A machine that is busy with other tests only
adds to the doubts.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.stack.runs import REPOSITORY, Run, Starter, eventually, write_scenario

from brokenpipe.history.validity_codes import DOUBTS, Code

TOXIPROXY = " -host 127.0.0.1 -port "  # so begin its arguments
START_S = 150.0  # five services on a busy machine
ARMS = """
proper = {}
cached = { WAY = "cached" }
straight = { WAY = "straight" }
crowd = { WEB_CONCURRENCY = "2" }
doomed = {}
"""
STRIKES = """
[[phases]]
name = "{name}"
fault = {{ name = "socket_kill" }}
episodes = {episodes}
every_s = 1
"""
# What a careless instrument would pass: whatever broke is below the limit.
EXPECT = """
[[expect]]
arm = "*"
phase = "{name}"
metric = "broken"
at_most = 1000
"""
PHASES = (
    STRIKES.format(name="lame", episodes=2)
    + STRIKES.format(name="stalled", episodes=3)
    + "".join(
        f'[[phases]]\nname = "{name}"\nseconds = {seconds}\n'
        for name, seconds in (("struck", 4), ("hung", 6))
    )
    + "".join(EXPECT.format(name=name) for name in ("lame", "stalled", "struck", "hung"))
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """Its toxic kills once only; Toxiproxy stands still twice, and a service and a worker are killed."""
    folder = tmp_path_factory.mktemp("doubted")
    lame = _with_a_lame_kill(project, folder / "lame")
    scenario = write_scenario(
        folder / "doubted.toml",
        PHASES,
        target="wayward",
        arms=ARMS.strip(),
        locustfile=project / "scenarios" / "locustfile.py",
        env={"WAY": "proper"},
        timeout_s=1.0,
    )
    with Starter(folder).start("run", scenario, "--reports", folder / "reports", cwd=lame, html=True) as run:
        _wait_for_phase(run, "stalled")
        server = _child(run, TOXIPROXY)
        with stopped(server):
            eventually(lambda: not server.is_running(), "the Toxiproxy server is not replaced")
        _wait_for_phase(run, "struck")
        _worker_of("crowd", run).kill()
        _service_of("doomed", run).kill()
        _wait_for_phase(run, "hung")
        with stopped(_child(run, TOXIPROXY)):
            run.end(150)
    return run


def _with_a_lame_kill(project: Path, lame: Path) -> Path:
    """The project with a Toxiproxy whose API says yes to every strike; after the first, connections live on."""
    shutil.copytree(project, lame, symlinks=True, ignore=shutil.ignore_patterns("proxies", "elsewhere"))
    sources = shutil.ignore_patterns(".build", "*_test.go")
    shutil.copytree(REPOSITORY / "proxies", lame / "proxies", ignore=sources)
    switch = lame / "proxies" / "kill_switch.go"
    works = "if state.openedIn < t.Generation {"
    assert works in switch.read_text()
    switch.write_text(switch.read_text().replace(works, f"{works[:-2]} && t.Generation < 2 {{"))
    return lame


def _wait_for_phase(run: Run, name: str) -> None:
    eventually(
        lambda: run.popen.poll() is not None or _phase_began(run, name),
        f"{name} did not begin",
        timeout_s=START_S,
    )
    assert run.popen.poll() is None, run.out


def _phase_began(run: Run, name: str = "") -> bool:
    """Whether that phase has begun; without a name, any."""
    with suppress(OSError, ValueError):  # there is no folder yet; a line is being written
        return any(name in edge["name"] for edge in run.history("experiment.ndjson", "phase"))
    return False


def _child(run: Run, words: str) -> psutil.Process:
    """The one process of the run whose command line contains that."""
    found = []
    for child in psutil.Process(run.popen.pid).children(recursive=True):
        with suppress(psutil.Error):
            if words in " ".join(child.cmdline()):
                found.append(child)
    return min(found, key=lambda child: child.create_time())


def _service_of(arm: str, run: Run) -> psutil.Process:
    for child in psutil.Process(run.popen.pid).children():
        with suppress(psutil.Error):  # it has ended, and nobody has waited for it yet
            if child.environ().get("BROKENPIPE_ARM") == arm:
                return child
    raise AssertionError(f"the service of {arm} is not there")


def _worker_of(arm: str, run: Run) -> psutil.Process:
    """One of the processes that the service itself has started, and will start again."""
    workers = _service_of(arm, run).children(recursive=True)
    return next(each for each in workers if "spawn_main" in " ".join(each.cmdline()))


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end if it is still there."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def assert_doubted(run: Run, code: Code, **of: str) -> dict[str, Any]:
    """The verdict is unknown for this reason, among others, and terminal and first screen of the report say so."""
    warning: dict[str, Any] = next(
        each
        for each in run.summary["warnings"]
        if each["code"] == code and all(each[key] == value for key, value in of.items())
    )
    assert warning["unknown"]
    first_screen = (run.folder / "report.html").read_text().partition('id="table-title"')[0]
    assert f"<code>{code}</code>" in first_screen
    assert DOUBTS[code].remedy.split(":")[0] in run.out
    return warning


def test_nothing_passes(run: Run) -> None:
    """The verdict is unknown, by the exit code too, and so is every check."""
    assert run.popen.returncode == 3, run.out
    assert run.summary["verdict"] == "unknown"
    assert {check["verdict"] for check in run.summary["checks"]} == {"unknown"}
    assert "UNKNOWN" in run.last_line


def test_a_wire_that_does_nothing(run: Run) -> None:
    """The API says yes to every strike; after the first, connections live on. A raw socket notices."""
    assert_doubted(run, Code.FAULT_DID_NOT_LAND, arm="proper", phase="lame")
    landed = {
        each["episode"]: each["landed"]
        for each in run.history("nemesis.ndjson", "landing")
        if (each["phase"], each["arm"]) == ("lame", "proper")
    }
    assert landed == {0: True, 1: False}
    acts = [act for act in run.history("nemesis.ndjson", "act") if act["phase"] == "lame"]
    assert acts
    assert all(act["error"] is None for act in acts), "the API noticed nothing"


def test_toxiproxy_stopped_while_it_is_to_strike(run: Run) -> None:
    """The call times out, the server is killed and started anew, the run goes on to its end."""
    assert_doubted(run, Code.PROXY_RESTARTED)
    assert run.history("nemesis.ndjson", "act")[-1]["error"] is None, "the last strike was on the new server"


def test_toxiproxy_stopped_while_nothing_is_asked_of_it(run: Run) -> None:
    """In a phase without strikes nobody would call it: its pulse is felt all the same."""
    assert_doubted(run, Code.PROXY_HUNG)
    (hung, *_) = (edge["t"] for edge in run.history("experiment.ndjson", "phase") if edge["name"] == "hung")
    felt = [
        each["t"] for each in run.history("experiment.ndjson", "doubt") if each["code"] == Code.PROXY_HUNG
    ]
    assert max(felt) > hung
    assert run.summary["arms"]["proper"]["phases"]["hung"]["failed"] > 0


def test_a_worker_of_a_target_killed(run: Run) -> None:
    """The service starts another, with an empty pool, and goes on as if nothing had been."""
    assert_doubted(run, Code.TARGET_RESTARTED, arm="crowd")


def test_a_target_that_dies_in_mid_run(run: Run) -> None:
    """The run goes on and counts the failures, but the verdict is unknown, and the doubt says who died and how."""
    doubt = assert_doubted(run, Code.TARGET_DIED, arm="doomed")
    assert [each["arm"] for each in run.summary["warnings"] if each["code"] == Code.TARGET_DIED] == ["doomed"]
    assert "target of arm doomed ended by itself in struck, with signal 9" in doubt["text"]
    assert run.summary["arms"]["doomed"]["phases"]["struck"]["failed"] > 0


def test_a_service_that_is_not_on_the_wire(run: Run) -> None:
    """One answers from memory, one found a way past its proxy; beside them others are as they should be."""
    found = {(each["code"], each["arm"]) for each in run.summary["warnings"] if each["unknown"]}
    off_the_wire = {
        (code, arm) for code, arm in found if code in {Code.NO_DATABASE_TRAFFIC, Code.BYPASSES_PROXY}
    }
    assert off_the_wire == {(Code.NO_DATABASE_TRAFFIC, "cached"), (Code.BYPASSES_PROXY, "straight")}
    assert run.summary["arms"]["cached"]["failed"] == run.summary["arms"]["straight"]["failed"] == 0
