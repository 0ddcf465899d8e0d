"""The folders of a project: scenarios, targets, proxies, reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brokenpipe.errors import UsageError
from brokenpipe.files import describe_missing_file
from brokenpipe.plain_text import shorten
from brokenpipe.plan.errors.messages import did_you_mean

_MAX_SHOWN = 300  # characters of a path that leads nowhere


@dataclass(frozen=True, slots=True)
class Project:
    """A checkout of brokenpipe, or a folder laid out like one."""

    root: Path

    @property
    def scenarios(self) -> Path:
        return self.root / "scenarios"

    @property
    def targets(self) -> Path:
        return self.root / "targets"

    @property
    def proxies(self) -> Path:
        return self.root / "proxies"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def scenario_path(self, scenario: str) -> Path:
        """A scenario by its path, or by the stem of a file in scenarios/. Raises UsageError."""
        is_path = scenario.endswith(".toml") or "/" in scenario
        path = Path(scenario) if is_path else self.scenarios / f"{scenario}.toml"
        why = describe_missing_file(path)
        if not why:
            return path
        stems = sorted(file.stem for file in self.scenarios.glob("*.toml"))
        raise UsageError(
            f"no such scenario: {shorten(scenario, _MAX_SHOWN)} "
            f"(looked for {shorten(str(path), _MAX_SHOWN)}, which {why})",
            remedy=f"Give the path of a TOML file or a name; {did_you_mean(scenario, stems)}",
        )

    def target_folder(self, target: str) -> Path:
        """The folder of a target. Raises UsageError."""
        folder = self.targets / target
        why = describe_missing_file(folder / "target.toml")
        if not why:
            return folder
        names = sorted(file.parent.name for file in self.targets.glob("*/target.toml"))
        raise UsageError(
            f"no such target: {target} (looked for {folder / 'target.toml'}, which {why})",
            remedy=f"Make that folder, or correct `target`; {did_you_mean(target, names)}",
        )


def find_project(start: Path) -> Project:
    """The project around a folder, else the checkout this program was installed from. Raises UsageError."""
    installed_from = Path(__file__).resolve().parents[3]
    for folder in (start, *start.parents, installed_from):
        if (folder / "scenarios").is_dir() and (folder / "targets").is_dir():
            return Project(folder)
    raise UsageError(
        f"neither {start} nor a folder above it has scenarios/ and targets/",
        remedy="Change into a checkout of brokenpipe.",
    )
