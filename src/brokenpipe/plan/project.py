"""The folders of a project: scenarios, targets, proxies, reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brokenpipe.bundled import bundled_folder, is_installation
from brokenpipe.errors import UsageError
from brokenpipe.files import describe_missing_file
from brokenpipe.plain_text import shorten
from brokenpipe.plan.errors.messages import did_you_mean

_MAX_SHOWN = 300  # characters of a path that leads nowhere


OWN_FOLDER = "brokenpipe"
"""In a repository of one's own: what belongs to brokenpipe, laid out like a checkout of it."""


@dataclass(frozen=True, slots=True)
class Project:
    """The folder of scenarios/ and targets/; what it does not have of its own comes with the program."""

    root: Path
    reports_elsewhere: Path | None = None
    """Where reports go; None: into the folder's own reports/."""

    @property
    def scenarios(self) -> Path:
        return self.root / "scenarios"

    @property
    def targets(self) -> Path:
        return self.root / "targets"

    @property
    def proxies(self) -> Path:
        return self._own_or_bundled("proxies")

    @property
    def compose(self) -> Path:
        return self._own_or_bundled("compose")

    @property
    def reports(self) -> Path:
        return self.reports_elsewhere or self.root / "reports"

    def _own_or_bundled(self, name: str) -> Path:
        own = self.root / name
        return own if own.is_dir() else bundled_folder() / name

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
    """The project around a folder, else the checkout this program was installed from. Raises UsageError.

    A folder in which only the demo was played has reports, and the scenarios that come with the program.
    """
    for folder in (start, *start.parents):
        for root in (folder / OWN_FOLDER, folder):
            if (root / "scenarios").is_dir() and (root / "targets").is_dir():
                return Project(root)
        if (folder / OWN_FOLDER / "reports").is_dir():
            return Project(bundled_folder(), folder / OWN_FOLDER / "reports")
    if not is_installation():
        return Project(bundled_folder())
    raise UsageError(
        f"neither {start} nor a folder above it has scenarios/ and targets/, or a folder {OWN_FOLDER}/ with both",
        remedy="`brokenpipe demo` plays the sample anywhere. For your own service, change to the folder with them.",
    )


def find_project_or_bundled(start: Path) -> Project:
    """The same; where there is none, what comes with the program."""
    try:
        return find_project(start)
    except UsageError:
        return demo_project(start)


def demo_project(start: Path) -> Project:
    """What comes with the program, with the reports of the project around a folder, or in the folder itself."""
    bundled = bundled_folder()
    try:
        reports = find_project(start).reports
    except UsageError:
        reports = start / OWN_FOLDER / "reports"
    return Project(bundled, None if reports == bundled / "reports" else reports)
