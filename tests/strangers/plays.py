"""One play of strangers: their services in a project of its own, and `brokenpipe run` as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.stack.runs import REPOSITORY, Starter
from tests.strangers.told import Report

HERE = Path(__file__).parent


def play(name: str, folder: Path) -> Report:
    """What is reported of the services that `scenarios/NAME.toml` has as its arms."""
    project = folder / "project"
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HERE / "services", project / "targets" / "services", ignore=no_caches)
    shutil.copytree(HERE / "users", project / "scenarios", ignore=no_caches)
    shutil.copy(HERE / "scenarios" / f"{name}.toml", project / "scenarios")
    (project / "proxies").symlink_to(REPOSITORY / "proxies")
    run = Starter(folder).run(project / "scenarios" / f"{name}.toml", cwd=project, html=True)
    assert run.popen.returncode in {0, 1, 3}, run.out
    return Report.read(run.folder, run.out)
