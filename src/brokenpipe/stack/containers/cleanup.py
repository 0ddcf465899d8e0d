"""Removes the containers, volumes and networks of runs from a Docker engine, found by their labels.

A run that ends removes its own. After one that was killed the janitor does, which starts this file as a script: so it
must not import anything of ours. What is still left is removed when the next run starts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.errors import APIError
from requests.exceptions import RequestException

RUN_LABEL = "brokenpipe.run"  # the run's id
OWNER_LABEL = "brokenpipe.owner"  # the harness: its pid, when it was born, and where it counts pids
PATIENCE_S = 4.0
_PIDS = Path("/proc/self/ns/pid")


def labels(run_id: str) -> dict[str, str]:
    """The labels of everything that belongs to a run of this process."""
    created = psutil.Process().create_time()
    return {RUN_LABEL: run_id, OWNER_LABEL: f"{os.getpid()} {created:.2f} {_pid_namespace()}"}


def sweep(client: Any, run_id: str) -> bool:
    """Remove what that run has on the engine; was there anything?"""
    filters = {"label": f"{RUN_LABEL}={run_id}"}
    containers = client.api.containers(all=True, quiet=True, filters=filters)
    with ThreadPoolExecutor(len(containers) or 1, "sweep") as sweepers:
        removed = [
            sweepers.submit(_remove, client.api.remove_container, each["Id"], v=True, force=True)
            for each in containers
        ]
    networks = client.api.networks(filters=filters)
    for network in networks:
        _remove(client.api.remove_network, network["Id"])
    for each in removed:
        each.result()  # an engine that cannot be reached has removed nothing
    return bool(containers or networks)


def sweep_dead(client: Any) -> None:
    """Remove what runs have left whose harness is gone. Those of harnesses that cannot be seen from here are left."""
    filters = {"label": RUN_LABEL}
    labelled = [each["Labels"] for each in client.api.containers(all=True, filters=filters)]
    labelled += [each["Labels"] for each in client.api.networks(filters=filters)]
    for run_id in {each[RUN_LABEL] for each in labelled if _is_orphaned(each)}:
        sweep(client, run_id)


def _is_orphaned(owner_labels: Mapping[str, str]) -> bool:
    try:
        pid, created, namespace = owner_labels[OWNER_LABEL].split()
        if namespace != _pid_namespace():
            return False
        owner = psutil.Process(int(pid))
        alive = abs(owner.create_time() - float(created)) < 0.02 and owner.status() != psutil.STATUS_ZOMBIE
    except (KeyError, ValueError):  # not by this version
        return False
    except psutil.NoSuchProcess:
        return True
    return not alive


def _pid_namespace() -> str:
    """Which pids these are: another namespace has the same ones for other processes."""
    return str(_PIDS.stat().st_ino) if _PIDS.exists() else "here"


def _remove(remove: Any, *arguments: object, **options: object) -> None:
    with suppress(APIError):  # it is being removed already, or still being created, and is found again
        remove(*arguments, **options)


def _main(endpoint: str, run_id: str) -> None:
    client = docker.DockerClient(base_url=endpoint, timeout=PATIENCE_S)
    deadline, seen_nothing = time.monotonic() + PATIENCE_S, 0
    # Asked several times: what the engine was just making when the harness died is there a moment later.
    while seen_nothing < 3 and time.monotonic() < deadline:
        try:
            seen_nothing = 0 if sweep(client, run_id) else seen_nothing + 1
        except (APIError, RequestException):  # it may answer the next time
            seen_nothing = 0
        time.sleep(0.2)


if __name__ == "__main__":
    _main(*sys.argv[1:])
