"""`doctor` with child processes: tests once what an experiment needs, in under 10 s once the proxy is built."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

from brokenpipe.drive.doctor.machine import CheckResult, check_machine
from brokenpipe.drive.self_test.commit import COMMITTING, self_test_commits
from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.errors import NamespaceError, StackError
from brokenpipe.faults import Fault, fault_kinds, registry
from brokenpipe.history.records import SelfTest
from brokenpipe.plan.project import Project
from brokenpipe.stack.packet_loss.namespace import find_container_entry_method, find_entry_method
from brokenpipe.stack.postgres.server import Postgres, postgres
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.proxy.server import toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary


def check_local(project: Project) -> Iterator[CheckResult]:
    """Each result as soon as it is known."""
    yield from check_machine(project)
    yield _check_packet_drop()
    yield from check_fault_plugins()
    with ExitStack() as running:
        janitor_ = running.enter_context(janitor(secrets.token_hex(8)))
        folder = running.enter_context(scratch_folder("brokenpipe-doctor-", janitor_))
        database = yield from _check_postgres(folder, janitor_, running)
        yield from _check_faults(project, folder, janitor_, running, database)


def every_fault() -> tuple[Fault, ...]:
    """Every fault that is installed, in every way that it is offered."""
    return tuple(fault for kind in fault_kinds() for fault in kind.variants())


def check_fault_plugins() -> Iterator[CheckResult]:
    """A result for each fault that another distribution registers, and for each that cannot be used."""
    for name, plugin in registry().plugins.items():
        yield CheckResult(f"fault {name}", True, f"from {plugin.distribution} {plugin.version}")
    for problem in registry().problems:
        yield CheckResult("fault of a plug-in", False, problem.message, problem.remedy)


def _check_packet_drop() -> CheckResult:
    """Always passed: packet_drop is one fault of many, and a scenario that needs it checks it itself."""
    try:
        way = find_entry_method()
    except NamespaceError as error:
        text = "; ".join((error.message.removeprefix("packets "), *error.details, error.remedy))
        return CheckResult("fault packet_drop", True, text)
    return CheckResult(
        "fault packet_drop",
        True,
        f"can be used, {way.name}: {' '.join(way.prefix[:-1])} and nft; {_packet_drop_in_containers()}",
    )


def _packet_drop_in_containers() -> str:
    try:
        find_container_entry_method()
    except NamespaceError:
        return "not with --stack compose, which takes root and nsenter"
    return "with --stack compose, too"


def _check_postgres(
    folder: Path, janitor_: Janitor, running: ExitStack
) -> Generator[CheckResult, None, Postgres | None]:
    """Start Postgres. Returns the server, if it started."""
    started = time.monotonic()
    try:
        server = running.enter_context(postgres(log_path=folder / "postgres.log", janitor=janitor_))
    except StackError as error:
        yield failed_check("Postgres", error)
        return None
    finding = f"{server.version}, up in {time.monotonic() - started:.1f} s on 127.0.0.1:{server.port}"
    yield CheckResult("Postgres", True, finding)
    return server


def _check_faults(
    project: Project, folder: Path, janitor_: Janitor, running: ExitStack, database: Postgres | None
) -> Iterator[CheckResult]:
    """Test all faults; without a Postgres, those of the wire."""
    faults = every_fault()
    try:
        binary = toxiproxy_binary(project.proxies, janitor_)
        log = folder / "toxiproxy.log"
        server = running.enter_context(toxiproxy_server(binary, log_path=log, janitor=janitor_))
        if database is None:
            scratch = partial(postgres, log_path=folder / "postgres-scratch.log", janitor=janitor_)
            results = self_test_faults([fault for fault in faults if fault.place == "wire"], server, scratch)
        else:
            results = self_test_faults(faults, server, lambda: nullcontext(database))
            results += self_test_commits(faults, server, database)
    except StackError as error:
        yield failed_check("Toxiproxy", error)
        return
    yield CheckResult("Toxiproxy", True, f"{server.version}, API on 127.0.0.1:{server.api_port}")
    yield from fault_results(results)


def fault_results(results: Sequence[SelfTest]) -> Iterator[CheckResult]:
    """A result for each fault that was tested."""
    by_fault: dict[str, list[SelfTest]] = {}
    for result in results:
        by_fault.setdefault(result.fault_text, []).append(result)
    for fault, mine in by_fault.items():
        yield CheckResult(
            f"fault {fault}",
            all(result.held for result in mine),
            "; ".join(map(_observation, mine)),
            _TRY_AGAIN,
        )


def _observation(result: SelfTest) -> str:
    when = f" at {result.after_ms:.0f} ms" if result.situation != COMMITTING else ""
    return f"{result.situation.replace('_', ' ')}: {result.seen}{when}"


_TRY_AGAIN = "This machine cannot measure that fault now: try again at rest."


def failed_check(name: str, error: StackError) -> CheckResult:
    """The result for a part that did not start."""
    return CheckResult(name, False, "; ".join((error.message, *error.details[-2:])), error.remedy)
