"""Everything that can go wrong with the instrument goes wrong for real: the verdict is unknown, and says why.

A machine that is busy with other tests only adds to the doubts.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
from tests.stack.runs import REPOSITORY, Run, Starter, eventually, write_scenario

from brokenpipe.history.validity_codes import DOUBTS, Code

TOXIPROXY = " -host 127.0.0.1 -port "  # so begin its arguments

# What a careless instrument would pass: nothing broken, in a phase in which nothing was measured.
STEADY = """
[[phases]]
name = "steady"
seconds = 6

[[expect]]
arm = "*"
phase = "steady"
metric = "broken"
equals = 0
"""
KILL = """
[[phases]]
name = "kill"
fault = { name = "socket_kill" }
episodes = 4
every_s = 1

[[expect]]
arm = "*"
phase = "kill"
metric = "broken"
at_most = 1000
"""


@contextmanager
def begun(
    brokenpipe: Starter, project: Path, phases: str, *, target: str = "wayward", arms: str = "plain = {}"
) -> Iterator[Run]:
    """A run whose first phase has begun."""
    scenario = write_scenario(
        brokenpipe.folder / "doubted.toml",
        phases,
        target=target,
        arms=arms,
        locustfile=project / "scenarios" / "locustfile.py",
        env={"WAY": "proper"},
        timeout_s=1.0,
    )
    with brokenpipe.start("run", scenario, "--reports", brokenpipe.folder / "reports", cwd=project) as run:
        eventually(lambda: run.popen.poll() is not None or _phase_began(run), "no phase began", timeout_s=60)
        assert run.popen.poll() is None, run.out
        yield run


def _phase_began(run: Run) -> bool:
    return any(run.reports.glob("*/*/experiment.ndjson")) and bool(run.history("experiment.ndjson", "phase"))


def _child(run: Run, words: str) -> psutil.Process:
    """The one process of the run whose command line contains that."""
    found = []
    for child in psutil.Process(run.popen.pid).children(recursive=True):
        with suppress(psutil.Error):
            if words in " ".join(child.cmdline()):
                found.append(child)
    return min(found, key=lambda child: child.create_time())


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end if it is still there."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def assert_doubted(run: Run, *codes: Code, arm: str | None = None) -> None:
    """The verdict is unknown, for these reasons, and terminal and first screen of the report say so."""
    assert run.end(60) == 3, run.out
    summary = run.summary
    assert summary["verdict"] == "unknown"
    assert all(check["verdict"] != "pass" for check in summary["checks"] if check["arm"] == (arm or "plain"))
    page = (run.folder / "report.html").read_text()
    first_screen = page.partition('id="table-title"')[0]
    for code in codes:
        (warning,) = (each for each in summary["warnings"] if each["code"] == code)
        assert warning["unknown"]
        assert warning["arm"] == arm or arm is None
        assert f"<code>{code}</code>" in first_screen
        assert DOUBTS[code].remedy.split(":")[0] in run.out


def test_a_wire_that_does_nothing(brokenpipe: Starter, project: Path) -> None:
    """The API says yes to every strike; after the first, connections live on. A raw socket notices."""
    lame = brokenpipe.folder / "lame"
    shutil.copytree(project, lame, symlinks=True, ignore=shutil.ignore_patterns("proxies", "elsewhere"))
    sources = shutil.ignore_patterns(".build", "*_test.go")
    shutil.copytree(REPOSITORY / "proxies", lame / "proxies", ignore=sources)
    switch = lame / "proxies" / "kill_switch.go"
    works = "if state.born < t.Generation {"
    assert works in switch.read_text()
    switch.write_text(switch.read_text().replace(works, f"{works[:-2]} && t.Generation < 2 {{"))
    with begun(brokenpipe, lame, KILL) as run:
        assert_doubted(run, Code.FAULT_DID_NOT_LAND, arm="plain")
    assert all(act["error"] is None for act in run.history("nemesis.ndjson", "act")), (
        "the API noticed nothing"
    )


def test_toxiproxy_stopped_while_it_is_to_strike(brokenpipe: Starter, project: Path) -> None:
    """The call times out, the server is killed and started anew, the run goes on to its end."""
    with begun(brokenpipe, project, KILL) as run, stopped(_child(run, TOXIPROXY)):
        assert_doubted(run, Code.PROXY_RESTARTED)
    assert run.history("nemesis.ndjson", "act")[-1]["error"] is None, "the last strike was on the new server"


def test_toxiproxy_stopped_while_nothing_is_asked_of_it(brokenpipe: Starter, project: Path) -> None:
    """In a phase without strikes nobody would call it: its pulse is felt all the same."""
    with begun(brokenpipe, project, STEADY) as run, stopped(_child(run, TOXIPROXY)):
        assert_doubted(run, Code.PROXY_HUNG)
    assert run.summary["arms"]["plain"]["failed"] > 0


def test_a_worker_of_a_target_killed(brokenpipe: Starter, project: Path) -> None:
    """The service starts another, with an empty pool, and goes on as if nothing had been."""
    with begun(brokenpipe, project, STEADY, target="crowd") as run:
        workers = _child(run, "service:app").children(recursive=True)
        victim = next(each for each in workers if "spawn_main" in " ".join(each.cmdline()))
        victim.kill()
        assert_doubted(run, Code.TARGET_RESTARTED, arm="plain")


def test_postgres_out_of_connections(brokenpipe: Starter, project: Path) -> None:
    """Somebody takes all that are left, and the pool is cut once: no setting is to blame for what follows."""
    with begun(brokenpipe, project, STEADY) as run, ExitStack() as hog:
        target = _child(run, "service:app")
        port = re.search(r"\bport=(\d+)", " ".join(_child(run, "max_connections=").cmdline()))
        assert port
        dsn = psycopg.conninfo.make_conninfo(target.environ()["POSTGRES"], port=port[1], dbname="postgres")
        with suppress(psycopg.OperationalError):
            while True:
                hog.enter_context(psycopg.connect(dsn))
        assert_doubted(run, Code.POSTGRES_FULL)


def test_a_service_that_is_not_on_the_wire(brokenpipe: Starter, project: Path) -> None:
    """One answers from memory, one found a way past its proxy; beside them one is as it should be."""
    arms = 'proper = {}\ncached = { WAY = "cached" }\nstraight = { WAY = "straight" }'
    with begun(brokenpipe, project, STEADY, arms=arms) as run:
        assert run.end(60) == 3, run.out
    found = {
        (each["code"], each["arm"]) for each in run.summary["warnings"] if each["unknown"] and each["arm"]
    }
    assert found == {(Code.NO_DATABASE_TRAFFIC, "cached"), (Code.BYPASSES_PROXY, "straight")}
    assert run.summary["arms"]["cached"]["failed"] == run.summary["arms"]["straight"]["failed"] == 0
