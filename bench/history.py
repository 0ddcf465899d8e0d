"""A report folder of any size, as a run would have recorded it: four arms, a calm phase and kills, seeded.

One request in a hundred fails on a connection that a strike has cut. Each such connection is in the log of links, and
each such request in the witness's testimony, so that attributing it takes what it takes in earnest.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

from brokenpipe.faults import SocketKill
from brokenpipe.history import records
from brokenpipe.history.fast_lines import line_maker, rest_maker
from brokenpipe.history.records import links, witness
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.target import Target

ARMS = ("plain", "pre_ping", "recycle", "both")
NAMES = ("POST /chat", "GET /conversations/{id}", "POST /memories")
EVERY_NS = 200_000  # five thousand requests a second
EPISODE_NS = 2_000_000_000
BASE = 10**13
CHAIN = (
    witness.WitnessException(
        "sqlalchemy.exc.DBAPIError",
        "(sqlalchemy.dialects.postgresql.asyncpg.Error) connection was closed in the middle of operation",
        invalidated=True,
    ),
    witness.WitnessException(
        "asyncpg.exceptions.ConnectionDoesNotExistError",
        "connection was closed in the middle of operation",
        "08003",
    ),
    witness.WitnessException(
        "builtins.ConnectionResetError", "[Errno 104] Connection reset by peer", errno=104
    ),
)
START, END, END_REST = (
    line_maker(records.RequestStart),
    line_maker(records.RequestEnd),
    rest_maker(records.RequestEnd),
)


def write(folder: Path, requests: int) -> None:
    """Fill `folder` with the history of that many requests."""
    folder.mkdir(parents=True)
    episodes = max(4, requests * EVERY_NS // EPISODE_NS + 1)
    calm = episodes // 2
    _documents(folder, calm, episodes - calm)
    _experiment(folder, calm, episodes)
    files = {name: _opened(folder, name) for name in ("requests", "links")}
    files |= {arm: _opened(folder, f"witness-{arm}-{n}") for n, arm in enumerate(ARMS)}
    for file, line in _requests(requests, calm):
        files[file].write(line)
    for each in files.values():
        each.close()


def _requests(requests: int, calm: int) -> Iterator[tuple[str, str]]:
    draws = random.Random(1)  # noqa: S311 - the same history every time
    times = [round(draws.lognormvariate(3.5, 0.5), 3) for _ in range(9973)]
    for n in range(requests):
        arm, name, t0 = ARMS[n % 4], NAMES[n % 3], BASE + n * EVERY_NS
        request_id = f"AgentUser-{n % 40}-{n // 40}"
        ms = times[n % 9973]
        if n % 100 == 50 and n * EVERY_NS // EPISODE_NS >= calm:
            failed = END_REST(failure="status", error="HTTP 500")
            yield "requests", END(t0, arm, name, request_id, ms, 500, failed)
            yield from _broken(arm, request_id, t0, _cut_at(t0), 10_000 + n // 100 % 50_000)
        else:
            yield "requests", END(t0, arm, name, request_id, ms, 200)
        if n % 50 == 0:  # under way when the log was handed to the kernel
            yield "requests", START(t0, arm, f"cut-{n}", name, None)
            yield "requests", END(t0, arm, name, f"cut-{n}", ms, 200, END_REST(begun=True))
        if n % 1250 == 0:
            for each in ARMS:
                yield each, _text(_tally(t0))
                yield each, _text(witness.WitnessPool(t0, size=10, idle=5, out=5, overflow=0))


def _tally(t0: int) -> witness.WitnessTally:
    return witness.WitnessTally(
        t0=t0, t=t0 + 250_000_000, requests=312, checkouts=312, pings=300, ping_ms=420.5, wait_ms=10.2, connects=3,
        connect_ms=31.5,
    )  # fmt: skip


def _cut_at(t: int) -> int:
    """The strike in the middle of the episode before or in which this is."""
    since = (t - BASE) % EPISODE_NS
    return (
        t - since + EPISODE_NS // 2 + 2_000_000 - (EPISODE_NS if since < EPISODE_NS // 2 + 10_000_000 else 0)
    )


def _broken(arm: str, request_id: str, t0: int, cut: int, port: int) -> Iterator[tuple[str, str]]:
    """A request that got a connection which the strike had cut, and what proxy and witness say of it."""
    yield "links", _text(links.LinkOpened(cut - 900_000_000, arm, port))
    yield "links", _text(links.LinkCut(cut, arm, port, toxic="kill_switch", reason="killed"))
    yield "links", _text(links.LinkEnded(cut, arm, port, ender="toxic"))
    handed = t0 + 1_000_000
    checkout = witness.WitnessCheckout(
        t=handed, port=port, wait_ms=0.01, fresh=False, dead=True, held_ms=3.0, statements=1
    )
    error = witness.WitnessOperation(
        t=handed + 1_000_000, where="statement", began=handed + 500_000, port=port, dead_at_checkout=True, dead=True,
        handed=handed, statement=1, transaction=0, disconnect=True, chain=CHAIN,
    )  # fmt: skip
    request = witness.WitnessRequest(
        id=request_id, t0=t0, t1=handed + 2_000_000, status=500, began=True, began_t=handed + 1_900_000, failed=True,
        checkouts=[checkout], errors=[asdict(error)], raised=[asdict(link) for link in CHAIN],
        pool={"size": 10, "idle": 5, "out": 5, "overflow": 0},
    )  # fmt: skip
    yield arm, _text(request)
    close = witness.WitnessClose(
        t=handed, port=port, age_ms=950.0, dead=True, after="error", pool_invalidated=True, id=request_id
    )
    yield arm, _text(close)
    yield arm, _text(witness.WitnessConnect(handed, port=port + 1, ms=10.0, id=request_id))


def _experiment(folder: Path, calm: int, episodes: int) -> None:
    with _opened(folder, "experiment") as file, _opened(folder, "nemesis") as acts:
        for name, first, last in (("steady", 0, calm), ("kill", calm, episodes)):
            _line(file, records.PhaseEdge(BASE + first * EPISODE_NS, name, "begin"))
            for n in range(first, last):
                t0 = BASE + n * EPISODE_NS
                strike = t0 + EPISODE_NS // 2 if name == "kill" else None
                _line(file, records.Episode(name, n - first, t0, t0 + EPISODE_NS, strike, counts=True))
                for arm in ARMS if strike else ():
                    _strike(acts, strike or 0, arm, name, n - first)
            _line(file, records.PhaseEdge(BASE + last * EPISODE_NS, name, "end"))
        _line(file, records.Finish(BASE + episodes * EPISODE_NS, "done"))


def _strike(file: IO[str], t: int, arm: str, phase: str, n: int) -> None:
    kill = SocketKill()
    act = records.FaultAction(
        t, t + 3_000_000, "inject", kill.name, arm, phase, n, parameters=kill.parameters
    )
    landing = records.FaultDetection(
        t, kill.name, arm, phase, n, "reset", "reset", 2.0, True, kill.parameters, "injection"
    )
    _line(file, act)
    _line(file, landing)


def _documents(folder: Path, calm: int, strikes: int) -> None:
    scenario = Scenario.model_validate(
        {
            "title": "Of any size", "question": "How long does reading take?", "target": "agent",
            "control": "plain", "load": {"users": 10}, "arms": {arm: {} for arm in ARMS},
            "phases": [
                {"name": "steady", "seconds": max(4, calm * 2)},
                {"name": "kill", "fault": {"name": "socket_kill"}, "episodes": min(strikes, 500), "every_s": 2.0},
            ],
            "expect": [{"arm": "plain", "phase": "kill", "metric": "broken_pipe_rate", "above": 0.0}],
        },
        strict=False,
    )  # fmt: skip
    target = Target(command=("{port}",), ready="/", dsn_env="DSN", dsn="{host}:{port}")
    plan = Plan(stem="any_size", scenario=scenario, target=target).model_dump_json()
    (folder / "plan.json").write_text(plan, encoding="utf-8")
    (folder / "environment.json").write_text('{"cores": 2, "command": "", "versions": {}}', encoding="utf-8")


def _opened(folder: Path, name: str) -> IO[str]:
    file = (folder / f"{name}.ndjson").open("w", encoding="utf-8", buffering=1 << 20)
    writer = {"links": "toxiproxy", "requests": "load"}.get(name, name)
    _line(file, records.Clock(BASE, 1_700_000_000_000_000_000, 1, writer))
    return file


def _line(file: IO[str], record: records.Record) -> None:
    file.write(_text(record))


def _text(record: records.Record) -> str:
    return json.dumps(record.to_json(), separators=(",", ":")) + "\n"
