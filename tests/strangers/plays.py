"""One play of a stranger: its service in a project of its own, and `brokenpipe run` as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.stack.runs import REPOSITORY, Starter
from tests.strangers.told import Report

HERE = Path(__file__).parent


def play(name: str, folder: Path) -> Report:
    """What is reported of the service in `services/NAME`, by the scenario that lies beside it."""
    project = folder / "project"
    service = HERE / "services" / name
    shutil.copytree(
        service, project / "targets" / name, ignore=shutil.ignore_patterns("__pycache__", "scenario.toml")
    )
    shutil.copytree(HERE / "users", project / "scenarios", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(service / "scenario.toml", project / "scenarios" / f"{name}.toml")
    (project / "proxies").symlink_to(REPOSITORY / "proxies")
    run = Starter(folder).run(project / "scenarios" / f"{name}.toml", cwd=project)
    assert run.popen.returncode in {0, 1, 3}, run.out
    return Report.read(run.folder, run.out)
