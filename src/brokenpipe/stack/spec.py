"""Inputs for starting a stack, the same for local processes and containers: plan, folders, janitor."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from brokenpipe.history.file_names import first_file
from brokenpipe.plan.plan import Plan
from brokenpipe.plan.project import Project
from brokenpipe.stack.postgres.certificates import Certificates
from brokenpipe.stack.processes.janitor import Janitor
from brokenpipe.stack.processes.ports import LOOPBACK
from brokenpipe.stack.stack import StepCallback
from brokenpipe.stack.target_environment import target_environment


@dataclass(frozen=True, slots=True)
class StackSpec:
    """The plan, the folders that are read and written, the janitor, and `on_step` for the display.

    Logs go to `report`/logs; the witness and the proxies write into `report`, in the files of this part.
    """

    plan: Plan
    project: Project
    target_folder: Path
    report: Path
    janitor: Janitor
    on_step: StepCallback
    part: int = 1
    rst_on_close: bool = False
    """Connections end by RST from the first on, else by FIN."""
    host: str = LOOPBACK
    """The address on which targets of the local stack listen."""
    engine: str | None = None
    """The Docker engine of containers; None: the active one."""
    packet_filters: bool = True
    """Whether containers get the packet filters that packet_drop needs. That takes root."""
    await_targets: bool = True
    """Whether targets are ready when the stack is. Else `Stack.await_targets` waits for them."""
    other_folders: Mapping[str, Path] = field(default_factory=dict)
    """The folders of targets that arms have instead of the scenario's, by their names."""
    remains: ExitStack | None = None
    """What ends parts that record nothing, later than the stack; None: they end with it."""

    def folder_of(self, arm: str) -> Path:
        """The folder in which the commands of an arm's target run."""
        file_folder = self.other_folders.get(self.plan.scenario.target_of(arm), self.target_folder)
        working = self.plan.target_of(arm).folder
        return file_folder if working == "." else (file_folder / working).resolve()

    @property
    def logs(self) -> Path:
        return self.report / "logs"

    @property
    def links_path(self) -> Path:
        """The file in which the proxies record their links."""
        return first_file(self.report, "links", self.part)

    @property
    def container_events(self) -> Path:
        """The file in which events of containers are recorded."""
        return first_file(self.report, "containers", self.part)

    def environment(self, arm: str, certificates: Certificates | None) -> dict[str, str]:
        """Environment variables of an arm's target, without the DSN."""
        return target_environment(self.plan, arm, self.report, self.part, certificates)
