"""Where a stack runs, as its plan says: in child processes or in containers. The same Stack either way."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project
from brokenpipe.stack.janitor import Janitor
from brokenpipe.stack.local import local_stack
from brokenpipe.stack.ports import LOOPBACK
from brokenpipe.stack.stack import Stack, Step


def stack_of(
    plan: Plan,
    *,
    project: Project,
    target_folder: Path,
    report: Path,
    part: int = 1,
    janitor: Janitor,
    on_step: Step,
    host: str = LOOPBACK,
    armed: bool = False,
    engine: str | None = None,
) -> AbstractContextManager[Stack]:
    """Everything the plan needs, ready, for as long as the block lasts.

    Logs go to `report`/logs, the witness and the proxies write into `report`, in the files of that part. `armed`:
    connections end by RST from the first on. `host` is where targets of the local stack listen, `engine` the Docker
    engine of containers, if it is not the active one. Raises StackError for what did not start.
    """
    if plan.stack == "compose":
        from brokenpipe.stack.compose import compose_stack  # the Docker SDK takes 0.2 s to import

        return compose_stack(
            plan,
            project=project,
            target_folder=target_folder,
            report=report,
            part=part,
            janitor=janitor,
            on_step=on_step,
            armed=armed,
            engine=engine,
        )
    return local_stack(
        plan,
        project=project,
        target_folder=target_folder,
        report=report,
        part=part,
        janitor=janitor,
        on_step=on_step,
        host=host,
        armed=armed,
    )
