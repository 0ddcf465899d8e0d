"""Interpreters and packages of arms, against the files of a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brokenpipe.errors import Problem, UsageError
from brokenpipe.files import describe_missing_file
from brokenpipe.plan.packages import folder_problem
from brokenpipe.plan.project import Project
from brokenpipe.plan.scenario import Scenario


def package_folders(project: Project, scenario: Scenario) -> dict[str, Path]:
    """The folders that arms have packages from, by what `with` names them."""
    return {each: project.root / each for each in scenario.package_folders}


def interpreter_problems(project: Project, scenario: Scenario) -> Iterator[Problem]:
    """Interpreters and folders that are not there."""
    for name, arm in scenario.arms.items():
        if arm.python and (why := describe_missing_file(project.root / arm.python)):
            allowed = f"must be an interpreter, relative to {project.root}; that path {why}"
            yield Problem(f"arms.{name}.python", repr(arm.python), allowed)
        for index, package in enumerate(arm.packages):
            if why := folder_problem(package, project.root):
                allowed = (
                    f"must be the folder of a Python project, relative to {project.root}; that one {why}"
                )
                yield Problem(f"arms.{name}.with[{index}]", repr(package), allowed)


def check_containers(scenario: Scenario) -> None:
    """Raises UsageError for what an arm cannot have in containers: an image has its interpreter and packages."""
    for name, arm in scenario.arms.items():
        for key, given in (("with", arm.packages), ("python", arm.python), ("pgbouncer", arm.pgbouncer)):
            if given:
                raise UsageError(
                    f"--stack compose: arms.{name}.{key} is for child processes; in containers an interpreter and "
                    "its packages are those of the image, and all arms have one PgBouncer",
                    remedy="Leave --stack out, or give the arm a target with an `image` of its own.",
                )
