"""A run of which nothing is odd, and what has to be recorded besides for each doubt that figures raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.measure.recorded import Recorded
from tests.unit.plans import KILL, STEADY, scenario

from brokenpipe.history import records
from brokenpipe.measure.model.findings import Findings

LONG = STEADY | {"seconds": 12}
EXPECT = [
    {"arm": "*", "phase": "steady", "metric": "failed", "equals": 0},
    {"arm": "*", "phase": "steady", "metric": "failure_rate", "below": 0.9},
    {"arm": "*", "phase": "kill", "metric": "broken", "equals": 0},
]


@contextmanager
def calm(folder: Path) -> Iterator[Recorded]:
    """Two arms, twelve steady seconds and two strikes that all landed; nothing failed, nothing was odd."""
    with Recorded(folder, scenario(LONG, KILL, expect=EXPECT)) as recorded:
        recorded.probe()
        recorded.phase("steady", [(n, n + 2, None) for n in range(0, 12, 2)])
        for arm in ("plain", "pre_ping"):
            recorded.requests(arm, [n / 4 for n in range(48)])
        recorded.phase("kill", [(13, 14, 13.5), (14, 15, 14.5)])
        for arm in ("plain", "pre_ping"):
            recorded.requests(arm, [13.1, 13.5, 13.9, 14.1, 14.5, 14.9])
            recorded.land(arm, "kill", 2)
        yield recorded


def measured(run: Recorded) -> Findings:
    run.finish()
    return run.measured()


def codes_of(findings: Findings) -> set[str]:
    return {warning.code for warning in findings.warnings}


def machine(run: Recorded, busy: float = 0.3, stolen: float = 0.0, throttled: float | None = None) -> None:
    for at in (1, 2, 3):
        run.gauge(records.MachineGauge(run.at(at), busy, stolen, throttled))


def cores(run: Recorded, cores: float) -> None:
    for at in (1, 3):
        run.gauge(records.ProcessGauge(run.at(at), "load", None, cpu_s=at * cores, rss_bytes=1_000))


def lags(run: Recorded, *lags_ms: float) -> None:
    for n, ms in enumerate(lags_ms):
        run.load(records.LoopLag(run.at(4 + n / 2), ms))


def sync(run: Recorded, error_ms: float) -> None:
    run.experiment(records.ClockOffset(run.at(1), "w1", 0, round(error_ms * 1e6)))


def clocks(run: Recorded, *, wall_s: float = 0.0, slept_s: float = 0.0) -> None:
    """Ticks a second apart. Half-way the wall clock jumps, or the machine sleeps."""
    for n in range(6):
        late = n >= 3
        wall_ns = run.at(n) + (round((wall_s + slept_s) * 1e9) if late else 0)
        boot_ns = run.at(n) + (round(slept_s * 1e9) if late else 0)
        run.gauge(records.ClockReading(run.at(n), wall_ns, boot_ns))


def postgres(run: Recorded, *, each_s: int = 10, worked: int = 0, direct: int = 0, used: int = 20) -> None:
    for at in range(1, 12):
        for arm in ("plain", "pre_ping"):
            run.gauge(records.PostgresGauge(run.at(at), arm, 2, 1, 1, 0, at * each_s, worked, direct))
        run.gauge(records.ConnectionSlots(run.at(at), used, 100))


def crashed(run: Recorded, *, postmaster: bool = False) -> None:
    """Half-way all helpers of Postgres are new; `postmaster`: that is, too."""
    for at in range(1, 12):
        late = at > 6
        run.gauge(records.ServerStart(run.at(at), 1_000 + (late and postmaster), 2_000 + late))


def killed(run: Recorded, *, act: str | None = None) -> None:
    """Half-way five sessions of one arm are terminated; `act`: by this fault of ours."""
    for at in range(1, 12):
        count = 3 + (5 if at > 6 else 0)
        run.gauge(records.PostgresGauge(run.at(at), "plain", 2, 1, 1, 0, at * 10, 1, 0, count))
    if act:
        run.act("plain", "inject", act, 5.5, "steady")


def not_sent(run: Recorded, kind: Literal["no_files", "no_ports", "no_memory"]) -> None:
    """A request that Locust could not send: it counts nowhere, although the scenario expects no failed one."""
    text = "OSError: [Errno 24] Too many open files"
    run.load(
        records.RequestEnd(run.at(1.1), "plain", "POST /chat", "User-0", 1.0, 0, failure=kind, error=text)
    )


def damage(run: Recorded) -> None:
    """Half a line in the middle of a file, and at its end one that is being written."""
    with (run.folder / "nemesis.ndjson").open("ab") as file:
        file.write(b'{"k":"act","t0":1,"ar\n{"k":"finish","t":1,"how":"done"}\n{"k":"act","t0"')


def cut_off(run: Recorded) -> None:
    """The last line of a file."""
    with (run.folder / "nemesis.ndjson").open("ab") as file:
        file.write(b'{"k":"act","t0":1,"ar')


def opened(run: Recorded, *times: float) -> None:
    for at in times:
        run.connect("plain", at)


def out_of_memory(run: Recorded) -> None:
    run.container(5, "agent-plain", "out_of_memory", limit_bytes=96 * 2**20)


def paused(run: Recorded) -> None:
    run.container(5, "toxiproxy", "paused")
    run.container(6.5, "toxiproxy", "unpaused")


def by_the_nemesis(run: Recorded) -> None:
    """Each within its act, or a little beside it, as the clock of an engine may be."""
    run.act("plain", "inject", "server_restart", 13.6, "kill")
    run.container(13.61, "postgres", "ended", exit_code=137)
    run.act("plain", "inject", "server_pause", 14.6, "kill")
    run.container(14.59, "postgres", "paused")
    run.act("plain", "restart", None, 14.8, "kill")
    run.container(14.8, "toxiproxy", "ended", exit_code=137)


def taken_down(run: Recorded) -> None:
    for service in ("agent-plain", "postgres"):
        run.container(16, service, "ended", exit_code=0)


def probed(run: Recorded) -> None:
    """The contracts are tried on a server of their own."""
    run.container(1, "scratch", "ended", exit_code=137)
    run.container(2, "scratch", "paused")


def slow_start(run: Recorded, ms: float) -> None:
    for n in range(30):
        run.request("plain", n / 16, ms)
