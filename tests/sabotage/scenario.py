"""The scenario and the project of a run that is to be sabotaged, laid out in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.sabotage.cell import Cell, Part
from tests.stack.runs import REPOSITORY, write_scenario

PROJECT = Path(__file__).parent / "project"
USERS = 3
TIMEOUT_S = 3.0  # of a request
ARMS = "one = {}\ntwo = {}"  # the same, and nothing wrong with either

PHASES = """
[[phases]]
name = "calm"
seconds = 4

[[phases]]
name = "cut"
fault = { name = "socket_kill" }
episodes = 2
quiet_s = 0.6
burst_s = 0.6

[[expect]]
arm = "*"
phase = "calm"
metric = "failed"
equals = 0

[[expect]]
arm = "*"
phase = "cut"
metric = "broken"
equals = 0
"""
POOLER = """
[pgbouncer]
pool_mode = "session"
default_pool_size = 10
"""


def lay_out(folder: Path, cells: Sequence[Cell]) -> tuple[Path, Path]:
    """The project, and the scenario in it: with what the cells need to be there."""
    project = folder / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "proxies").symlink_to(REPOSITORY / "proxies")
    parts = {cell.part for cell in cells}
    return project, write_scenario(
        project / "scenarios" / "sabotaged.toml",
        (POOLER if Part.PGBOUNCER in parts else "") + PHASES,
        target="healthy",
        users=USERS,
        arms=ARMS,
        env={"WEB_CONCURRENCY": "2"} if Part.SERVICE_WORKER in parts else None,
        timeout_s=TIMEOUT_S,
    )


def options(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Of `brokenpipe run`, for the cells that need workers of the load."""
    of_workers = {cell.part for cell in cells} & {Part.LOAD_MASTER, Part.LOAD_WORKER}
    return ("--workers", "2") if of_workers else ()
