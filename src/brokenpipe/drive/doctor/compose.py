"""`doctor` for the stack in containers: the machine, the Docker engine, a stack with one arm, and every fault in it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from brokenpipe.drive.doctor.local import check_fault_plugins, every_fault, failed_check, fault_results
from brokenpipe.drive.doctor.machine import CheckResult, check_machine
from brokenpipe.drive.self_test.stack import self_test_on_stack
from brokenpipe.errors import StackError
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project
from brokenpipe.plan.scenario import Scenario
from brokenpipe.plan.target import parse_target
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.start import start_stack

TARGET = "agent"  # the sample, whose image `make images` makes


def check_compose(project: Project, engine: str | None) -> Iterator[CheckResult]:
    """Each result as soon as it is known; half a minute. Raises UsageError for an engine that may be elsewhere."""
    from brokenpipe.stack.containers.engine import find_engine  # the Docker SDK takes 0.2 s to import

    yield from check_machine(project)
    yield from check_fault_plugins()
    try:
        docker = find_engine(engine)
    except StackError as error:
        yield failed_check("Docker engine", error)
        return
    yield CheckResult("Docker engine", True, f"{docker.version} at {docker.endpoint}")
    yield CheckResult("compose", True, f"{docker.compose_version}, as `{' '.join(docker.compose)}`")
    yield from _check_stack(project, engine)


def _check_stack(project: Project, engine: str | None) -> Iterator[CheckResult]:
    with ExitStack() as running:
        janitor_ = running.enter_context(janitor(secrets.token_hex(8)))
        folder = running.enter_context(scratch_folder("brokenpipe-doctor-", janitor_))
        started = time.monotonic()
        try:
            stack = running.enter_context(start_stack(_stack_spec(project, folder, janitor_, engine)))
            up_s = time.monotonic() - started
            versions = ", ".join(f"{name} {version}" for name, version in stack.versions.items())
            yield CheckResult("stack in containers", True, f"{versions}, up in {up_s:.1f} s")
            results = self_test_on_stack(every_fault(), stack)
        except StackError as error:
            yield failed_check("stack in containers", error)
            return
        yield from fault_results(results)


def _stack_spec(project: Project, folder: Path, janitor_: Janitor, engine: str | None) -> StackSpec:
    target = project.target_folder(TARGET)
    scenario = {
        "title": "Is this machine able to measure?",
        "question": "What does each fault do here?",
        "target": TARGET,
        "control": "plain",
        "arms": {"plain": {}},
        "load": {"locustfile": "none.py", "users": 1},
        "phases": ({"name": "steady", "seconds": 2},),
    }
    plan = Plan(
        stem="doctor",
        scenario=Scenario.model_validate(scenario),
        target=parse_target(target),
        stack="compose",
    )
    return StackSpec(
        plan,
        project=project,
        target_folder=target,
        report=folder,
        janitor=janitor_,
        on_step=lambda _: None,
        engine=engine,
    )
