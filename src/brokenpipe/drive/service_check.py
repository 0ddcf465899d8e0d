"""Starts the service of one arm once, and proves each step of the way: prepared, ready, each endpoint, the proxy.

`brokenpipe check`, and the end of `brokenpipe init`. Nothing is broken and nothing is recorded but logs.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from brokenpipe.drive.run_folder import write_error
from brokenpipe.errors import CheckError
from brokenpipe.formatting import plural
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project
from brokenpipe.stack.processes.process import Child, clean_environment
from brokenpipe.stack.processes.watched_janitor import janitor
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Arm, Stack
from brokenpipe.stack.start import start_stack

REQUESTS_TIMEOUT_S = 300.0
_LINES = 12
OnProof = Callable[[str, str], None]  # what is proved, and by what


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """What is checked, and where it is told. `on_step`: what is being done; `on_proof`: what was proved."""

    plan: Plan
    sources: Sources
    project: Project
    on_step: Callable[[str], None]
    on_proof: OnProof

    @property
    def arm(self) -> str:
        return next(iter(self.plan.scenario.arms))

    @property
    def target_file(self) -> str:
        return f"targets/{self.plan.scenario.target_of(self.arm)}/target.toml"


def check_service(check: ServiceCheck) -> None:
    """Start it, prove all of it, and end it. Raises StackError or CheckError for the first step that fails."""
    folder = check.project.reports / ".check"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise write_error(folder, error) from error
    with janitor(secrets.token_hex(8)) as check_janitor:
        spec = StackSpec(
            check.plan,
            project=check.project,
            target_folder=check.sources.target_folder,
            other_folders=check.sources.other_folders,
            report=folder,
            janitor=check_janitor,
            on_step=check.on_step,
            await_targets=False,
            packet_filters=False,
        )
        with start_stack(spec) as stack:
            _prove(check, stack, spec)


def _prove(check: ServiceCheck, stack: Stack, spec: StackSpec) -> None:
    target, arm = check.plan.target_of(check.arm), stack.arms[check.arm]
    if target.prepare:
        check.on_proof("prepared", f"{plural(len(target.prepare), 'command')} of `prepare`, exit code 0")
    check.on_step("waiting until the service is ready")
    stack.await_targets()
    check.on_proof(
        "ready", f"`ready` = {target.ready if isinstance(target.ready, str) else target.ready.words}"
    )
    check.on_step("requesting each endpoint of the locustfile")
    answers = _request_each(check, arm)
    _prove_database(check, arm, spec, answers)
    _prove_endpoints(check, arm, answers)


def _request_each(check: ServiceCheck, arm: Arm) -> dict[str, Any]:
    """What each request of the locustfile came to. Raises CheckError if the locustfile does not work."""
    command = [
        sys.executable,
        "-m",
        "brokenpipe.load.each_task",
        str(check.sources.locustfile),
        arm.service.url,
    ]
    try:
        done = subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, timeout=REQUESTS_TIMEOUT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"the locustfile has not ended within {REQUESTS_TIMEOUT_S:g} s") from error
    except (ValueError, IndexError) as error:
        raise CheckError(
            "the locustfile could not be run",
            remedy=f"Correct {check.sources.locustfile}.",
            details=tuple(done.stderr.splitlines()[-_LINES:]),
        ) from error
    if answers["raised"]:
        raise CheckError(
            "a task of the locustfile does not work",
            remedy=f"Correct {check.sources.locustfile}.",
            details=tuple(answers["raised"]),
        )
    return answers


def _prove_endpoints(check: ServiceCheck, arm: Arm, answers: dict[str, Any]) -> None:
    """Raises CheckError for those that failed."""
    failed = [each for each in answers["requests"] if each["error"]]
    for each in answers["requests"]:
        if not each["error"]:
            check.on_proof(each["name"], f"{each['status']} in {each['ms']:.0f} ms")
    if failed:
        raise CheckError(
            f"{len(failed)} of {len(answers['requests'])} endpoints of the locustfile failed: "
            + ", ".join(f"{each['name']} ({_why(each)})" for each in failed),
            remedy=f"`prepare` in {check.target_file} makes tables, {check.sources.locustfile} says what is requested. "
            f"The log of the service is {arm.service.child.log_path}.",
            details=arm.service.child.last_lines(_LINES),
        )
    if not answers["requests"]:
        raise CheckError(
            "the locustfile made no request", remedy=f"Give {check.sources.locustfile} a task that makes one."
        )


def _why(request: dict[str, Any]) -> str:
    return f"status {request['status']}" if request["status"] else str(request["error"])


def _prove_database(check: ServiceCheck, arm: Arm, spec: StackSpec, answers: dict[str, Any]) -> None:
    """Connections through the proxy prove it. Raises CheckError if there was none."""
    links = _links(spec.links_path, arm.name)
    if links:
        check.on_proof("database", f"{plural(links, 'connection')} through the proxy")
        return
    names = ", ".join(check.plan.target_of(arm.name).address_variables)
    others = sorted(set(_other_addresses(arm.service.child, {arm.proxy.port, *_own_ports(arm)})))
    elsewhere = f" It has a connection to {', '.join(others)} instead." if others else ""
    answered = any(not each["error"] for each in answers["requests"])
    raise CheckError(
        "no connection came through the proxy"
        + (
            ", although the service answered: it reaches its database past the proxy, or not at all."
            if answered
            else "."
        )
        + elsewhere,
        remedy=f"It is given {names}: see that it finds its database by that alone; the key is "
        f"{'dsn_env' if check.plan.target_of(arm.name).dsn_env else '[env]'} in {check.target_file}.",
        details=arm.service.child.last_lines(_LINES),
    )


def _links(path: Path, arm: str) -> int:
    """Connections that the proxy of an arm has had."""
    with suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return sum(f'"{arm}"' in line and '"link_opened"' in line for line in lines)
    return 0


def _own_ports(arm: Arm) -> Iterator[int]:
    yield int(arm.service.url.rpartition(":")[2])


def _other_addresses(service: Child, known: set[int]) -> Iterator[str]:
    """Addresses to which the service has connections, apart from its proxy and its own clients."""
    with suppress(psutil.Error, OSError):
        root = psutil.Process(service.pid)
        for process in (root, *root.children(recursive=True)):
            for each in process.net_connections("tcp"):
                if each.raddr and each.raddr.port not in known and each.laddr.port not in known:
                    yield f"{each.raddr.ip}:{each.raddr.port}"
