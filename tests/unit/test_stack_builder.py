"""The order in which a stack starts and ends, on a runtime that starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.plans import STEADY, TARGET, arms_of, scenario

from brokenpipe.errors import PostgresError, StackError
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project
from brokenpipe.plan.settings.pgbouncer import PgBouncerSettings
from brokenpipe.stack import builder
from brokenpipe.stack.bypass_detector import BypassDetector
from brokenpipe.stack.interpreters.installed import InstalledPackages
from brokenpipe.stack.postgres.database import Database
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.runtime import DatabaseAccess
from brokenpipe.stack.spec import StackSpec

DIRECT, POOLED = 5432, 6432


@dataclass
class FakeRuntime:
    """Writes down what starts and what ends, and what each part was given."""

    log: list[str] = field(default_factory=list)
    fails: str = ""
    harness_host: str = "127.0.0.1"
    bypass_addresses: frozenset[tuple[str, int]] = frozenset()
    installed: Mapping[str, InstalledPackages] = field(default_factory=dict)
    rst_on_close: set[bool] = field(default_factory=set)
    behind: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    access: Mapping[str, DatabaseAccess] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str, **values: Any) -> Iterator[Any]:
        if name == self.fails:
            raise PostgresError(f"{name} does not start")
        self.log.append(f"start {name}")
        try:
            yield SimpleNamespace(host="10.0.0.1", **values)
        finally:
            self.log.append(f"end {name}")

    def postgres(self) -> AbstractContextManager[Any]:
        server = SimpleNamespace(certificates=None, host="10.0.0.1", port=DIRECT)

        def create(name: str, _limit: int | None) -> Database:
            self.log.append(f"create {name}")
            return Database(server, name, "secret")

        return self.part("postgres", port=DIRECT, create_database=create)

    scratch_postgres = postgres

    def pgbouncer(
        self, settings: PgBouncerSettings, databases: Sequence[Database], name: str
    ) -> AbstractContextManager[Any]:
        assert all(each.pooled for each in databases)
        self.behind[name] = (settings.default_pool_size, [each.name for each in databases])
        return self.part(name, port=POOLED + len(self.behind) - 1)

    def toxiproxy(self) -> AbstractContextManager[Any]:
        def create(name: str, upstream: tuple[str, int], *, rst_on_close: bool, database: Database) -> Any:
            self.log.append(f"proxy {name} to {upstream[1]}, {database.name}")
            self.rst_on_close.add(rst_on_close)
            return SimpleNamespace(host="10.0.0.2", port=20_000 + len(name))

        return self.part("toxiproxy", create_proxy=create)

    def prepare(self, access: Mapping[str, DatabaseAccess]) -> None:
        self.log.append(f"prepare {' '.join(each.variables['DSN'] for each in access.values())}")

    def targets(self, access: Mapping[str, DatabaseAccess]) -> Mapping[str, AbstractContextManager[Any]]:
        self.access = access
        return {
            arm: self.part(
                arm, child=SimpleNamespace(stop=lambda *_, arm=arm: self.log.append(f"stop {arm}"))
            )
            for arm in access
        }


@pytest.fixture(autouse=True)
def _ready_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "wait_ready", lambda _service, _target: None)


@contextmanager
def _given(runtime: FakeRuntime) -> Iterator[Any]:
    yield runtime


def spec(folder: Path, *, own: Mapping[str, Any] | None = None, **pgbouncer: Any) -> StackSpec:
    """`own`: the PgBouncer of pre_ping alone."""
    wanted = scenario(STEADY)
    if own:
        wanted = wanted.model_copy(update={"arms": arms_of({"plain": {}, "pre_ping": {"pgbouncer": own}})})
    if pgbouncer:
        wanted = wanted.model_copy(update={"pgbouncer": PgBouncerSettings(**pgbouncer)})
    plan = Plan(stem="x", scenario=wanted, target=TARGET)
    return StackSpec(
        plan, Project(folder), folder, folder, NoJanitor(), lambda _: None, rst_on_close=bool(pgbouncer)
    )


def test_each_part_starts_after_what_it_needs(tmp_path: Path) -> None:
    """Databases before proxies, proxies before targets; it ends in the opposite order, targets first and together."""
    runtime = FakeRuntime()
    with builder.build_stack(spec(tmp_path), _given(runtime)) as stack:
        assert runtime.log[0] == "start postgres"
        assert sorted(runtime.log[1:3]) == ["create arm_plain", "create arm_pre_ping"]  # side by side
        assert runtime.log[3:] == [
            "start toxiproxy",
            "proxy plain to 5432, arm_plain",
            "proxy pre_ping to 5432, arm_pre_ping",
            "start plain",
            "start pre_ping",
        ]
        assert {name: arm.database for name, arm in stack.arms.items()} == {
            "plain": "arm_plain",
            "pre_ping": "arm_pre_ping",
        }
        assert (stack.pgbouncers, stack.count_bypasses, runtime.rst_on_close) == ({}, None, {False})
        assert {arm: each.variables["DSN"] for arm, each in runtime.access.items()} == {
            "plain": "10.0.0.2:20005",
            "pre_ping": "10.0.0.2:20008",
        }
        del runtime.log[:]
    assert sorted(runtime.log[:2]) == ["stop plain", "stop pre_ping"]
    assert runtime.log[2:] == ["end pre_ping", "end plain", "end toxiproxy", "end postgres"]


def test_databases_are_prepared_straight_at_the_server(tmp_path: Path) -> None:
    """Of the arms whose target wants it, before anything that leads to the proxies is there."""
    runtime, given = FakeRuntime(), spec(tmp_path)
    target = TARGET.model_copy(update={"prepare": (("migrate",),)})
    prepared = replace(given, plan=given.plan.model_copy(update={"target": target}))
    with builder.build_stack(prepared, _given(runtime)):
        assert runtime.log[3:5] == ["prepare 10.0.0.1:5432 10.0.0.1:5432", "start toxiproxy"]


def test_postgres_records_nothing_and_ends_with_what_remains(tmp_path: Path) -> None:
    """The stack is over before it: a history is complete without its end."""
    runtime = FakeRuntime()
    with ExitStack() as remains:
        with builder.build_stack(replace(spec(tmp_path), remains=remains), _given(runtime)):
            del runtime.log[:]
        assert runtime.log[-1] == "end toxiproxy"
    assert runtime.log[-1] == "end postgres"


def test_a_pgbouncer_is_in_front_of_the_databases(tmp_path: Path) -> None:
    """Proxies lead to it instead of to Postgres."""
    runtime = FakeRuntime()
    with builder.build_stack(spec(tmp_path, pool_mode="transaction"), _given(runtime)) as stack:
        assert set(stack.pgbouncers) == {"pgbouncer"}
        assert [line for line in runtime.log if line.startswith("proxy")] == [
            "proxy plain to 6432, arm_plain",
            "proxy pre_ping to 6432, arm_pre_ping",
        ]
        assert runtime.log.index("start pgbouncer") > runtime.log.index("create arm_pre_ping")
        assert runtime.rst_on_close == {True}
    assert runtime.behind == {"pgbouncer": (20, ["arm_plain", "arm_pre_ping"])}


def test_an_arm_has_a_pgbouncer_of_its_own(tmp_path: Path) -> None:
    """It stands before that arm's database alone; the others have that of [pgbouncer], or none."""
    own = {"pool_mode": "session", "default_pool_size": 3}
    runtime = FakeRuntime()
    with builder.build_stack(spec(tmp_path, own=own), _given(runtime)) as stack:
        assert set(stack.pgbouncers) == {"pgbouncer pre_ping"}
    assert "proxy plain to 5432, arm_plain" in runtime.log
    assert "proxy pre_ping to 6432, arm_pre_ping" in runtime.log
    runtime = FakeRuntime()
    with builder.build_stack(spec(tmp_path, own=own, pool_mode="transaction"), _given(runtime)):
        assert runtime.behind == {
            "pgbouncer": (20, ["arm_plain"]),
            "pgbouncer pre_ping": (3, ["arm_pre_ping"]),
        }
    assert "proxy plain to 6432, arm_plain" in runtime.log
    assert "proxy pre_ping to 6433, arm_pre_ping" in runtime.log


def test_bypasses_are_looked_for_where_postgres_cannot_see_them(tmp_path: Path) -> None:
    """At the addresses of the runtime, by the sockets of every target."""
    runtime = FakeRuntime(bypass_addresses=frozenset({("10.0.0.1", DIRECT)}))
    with builder.build_stack(spec(tmp_path), _given(runtime)) as stack:
        assert isinstance(stack.count_bypasses, BypassDetector)
        assert stack.count_bypasses.services.keys() == {"plain", "pre_ping"}


def test_targets_are_waited_for_when_the_caller_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `await_targets` off the stack is given while they start, and waits for all of them when it is asked to."""
    waited: list[Any] = []
    monkeypatch.setattr(builder, "wait_ready", lambda service, _target: waited.append(service))
    with builder.build_stack(spec(tmp_path), _given(FakeRuntime())):
        assert len(waited) == 2
    del waited[:]
    later = replace(spec(tmp_path), await_targets=False)
    with builder.build_stack(later, _given(FakeRuntime())) as stack:
        assert waited == []
        stack.await_targets()
        assert waited == [arm.service for arm in stack.arms.values()]


@pytest.mark.parametrize("part", ["toxiproxy", "pre_ping"])
def test_what_had_started_ends_when_a_later_part_fails(part: str, tmp_path: Path) -> None:
    """The error of that part is the one that is raised."""
    runtime = FakeRuntime(fails=part)
    with (
        pytest.raises(StackError, match=f"{part} does not start"),
        builder.build_stack(spec(tmp_path), _given(runtime)),
    ):
        raise AssertionError("it must not get here")
    started = [line.removeprefix("start ") for line in runtime.log if line.startswith("start ")]
    ended = [line.removeprefix("end ") for line in runtime.log if line.startswith("end ")]
    assert ended == started[::-1]
    assert "postgres" in ended
