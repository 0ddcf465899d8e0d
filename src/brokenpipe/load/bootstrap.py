"""What happens once, before Locust knows any user: all that must be in place before the user's file."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

from locust import User, events

from brokenpipe.load.config import VARIABLE, LoadConfig
from brokenpipe.load.control_client import Channel, Steering, unwritable
from brokenpipe.load.distributed.master import Master
from brokenpipe.load.distributed.protocol import MASTER
from brokenpipe.load.distributed.worker import Mail, WorkerSteering, join
from brokenpipe.load.messages import Failed, Notice
from brokenpipe.load.requests.locust_event import RequestEvent
from brokenpipe.load.requests.request_log import RequestLog
from brokenpipe.load.state import LoadState
from brokenpipe.load.users import locustfile_loader, seeded_random
from brokenpipe.load.users.allocation import ClassWeight, allocate_users
from brokenpipe.load.users.arm_classes import arm_classes


def begin() -> dict[str, type[User]]:
    """The user classes that Locust is to run, by name. Ends the process when there are none."""
    if master := os.environ.get(MASTER):
        return _begin(join(master), Mail())
    config = LoadConfig.from_json(os.environ[VARIABLE])
    return _begin(config, Channel(config.control_fd))


def _begin(config: LoadConfig, channel: Channel | Mail) -> dict[str, type[User]]:
    event = RequestEvent()
    event.state = state = LoadState(config, _log(config, channel), event.publish)
    events.request = event  # before the user's file adds its listeners, and Locust its own
    steering = _steering(state, channel)
    steering.attach(events)
    seeded_random.install(config.seed)
    _leave_the_path()
    try:
        found = locustfile_loader.load(config.locustfile)
        counts = _counts(found, config.users)
    except locustfile_loader.LocustfileDefect as defect:
        _give_up(channel, Failed("locustfile", str(defect)))
    _tell(state, found, counts)
    if config.web and isinstance(steering, Steering):
        from brokenpipe.load.web.runs import Stage

        steering.stage = stage = Stage(config, partial(_counts, found), event, steering)
        stage.attach(events)
    return arm_classes(counts, state)


def _log(config: LoadConfig, channel: Channel | Mail) -> RequestLog:
    if isinstance(channel, Mail):
        return RequestLog(config.requests_path, channel.record)
    if config.workers:
        return RequestLog(config.requests_path, lambda *_: None)  # a master has no users
    try:
        return RequestLog(config.requests_path)
    except OSError as error:
        _give_up(channel, unwritable(config.requests_path, error))


def _steering(state: LoadState, channel: Channel | Mail) -> Steering | Master:
    if isinstance(channel, Mail):
        return WorkerSteering(state, channel)
    return Master(state, channel) if state.config.workers else Steering(state, channel)


def _counts(found: locustfile_loader.LoadedLocustfile, users: int) -> dict[type[User], int]:
    weights_of_classes = [ClassWeight(made.weight, made.fixed_count) for made in found.user_classes]
    try:
        return dict(zip(found.user_classes, allocate_users(users, weights_of_classes), strict=True))
    except ValueError as error:
        raise locustfile_loader.LocustfileDefect(str(error)) from error


def _tell(state: LoadState, found: locustfile_loader.LoadedLocustfile, counts: dict[type[User], int]) -> None:
    for shape in found.shapes:
        text = f"the load shape {type(shape).__name__} is ignored: the scenario's phases say when users act"
        state.add_notice(Notice("load_shape", text))
    for made, users in counts.items():
        if not users:
            text = f"{made.__name__} gets none of {state.config.users} users for each arm, by its weight"
            state.add_notice(Notice("class_without_users", text))


def _leave_the_path() -> None:
    """Locust puts our folder on the path, as that of the file it loads: `import config` would find ours."""
    ours = str(Path(__file__).parent)
    sys.path[:] = [entry for entry in sys.path if entry != ours]


def _give_up(channel: Channel | Mail, failed: Failed) -> NoReturn:
    channel.send(failed)
    sys.exit(f"{failed.text}")
