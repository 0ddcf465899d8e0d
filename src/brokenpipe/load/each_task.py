"""Runs each task of a locustfile once, and writes what its requests came to: JSON on the last line.

A process of its own, because Locust patches the one that imports it: python -m brokenpipe.load.each_task FILE URL
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
from locust import TaskSet, User
from locust.env import Environment
from locust.exception import InterruptTaskSet, RescheduleTask, StopUser

from brokenpipe.load.users.locustfile_loader import LocustfileDefect, error_location, load

TASK_TIMEOUT_S = 30.0


def main(locustfile: Path, url: str) -> dict[str, Any]:
    """Requests by name and method with status, error and duration; and what tasks raised."""
    requests: list[dict[str, Any]] = []
    raised: list[str] = []
    try:
        loaded = load(locustfile)
    except LocustfileDefect as defect:
        return {"requests": [], "raised": [str(defect)]}
    for user_class in loaded.user_classes:
        user_class.host = url
        environment = Environment(user_classes=[user_class], host=url)
        environment.events.request.add_listener(_listener(requests))  # type: ignore[no-untyped-call]
        user = user_class(environment)
        raised += filter(None, (_run(task, locustfile) for task in _tasks(user)))
    return {"requests": requests, "raised": raised}


def _listener(requests: list[dict[str, Any]]) -> Callable[..., None]:
    def listen(
        request_type: str,
        name: str,
        response_time: float | None,
        exception: object,
        response: Any = None,
        **_: Any,
    ) -> None:
        status = getattr(response, "status_code", None)
        error = str(exception) if exception else None
        requests.append(
            {
                "method": request_type,
                "name": name,
                "status": status,
                "error": error,
                "ms": response_time or 0.0,
            }
        )

    return listen


def _tasks(user: User) -> Iterator[Callable[[], object]]:
    """Each task once, whatever its weight; those of a task set in its place."""
    yield user.on_start
    for task in dict.fromkeys(user.tasks):
        if isinstance(task, type) and issubclass(task, TaskSet):
            inner = task(user)
            yield inner.on_start
            for each in dict.fromkeys(inner.tasks):
                if not isinstance(each, type):
                    yield lambda each=each, inner=inner: each(inner)  # type: ignore[misc]
        else:
            yield lambda task=task: task(user)  # type: ignore[misc]


def _run(task: Callable[[], object], locustfile: Path) -> str:
    """What it raised, in words; empty: nothing."""
    try:
        with gevent.Timeout(TASK_TIMEOUT_S):  # type: ignore[no-untyped-call]
            task()
    except (InterruptTaskSet, RescheduleTask, StopUser):
        return ""
    except gevent.Timeout:
        return f"a task has not ended within {TASK_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - a locustfile may raise anything
        return error_location(error, locustfile)
    return ""


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(Path(sys.argv[1]), sys.argv[2])) + "\n")
