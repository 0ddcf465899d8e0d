"""The start of a Locust process: hooks that must be there before the user's locustfile, then its classes."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import NoReturn

from locust import User, events

from brokenpipe.load import seeded_random
from brokenpipe.load.config import VARIABLE, LoadConfig
from brokenpipe.load.control_client import ControlChannel, ControlClient, recording_failed
from brokenpipe.load.distributed.master import Master
from brokenpipe.load.distributed.protocol import MASTER_VARIABLE
from brokenpipe.load.distributed.worker import MasterChannel, WorkerControlClient, join
from brokenpipe.load.messages import Failed, Notice
from brokenpipe.load.request_log import RequestLog
from brokenpipe.load.requests.locust_event import RequestEvent
from brokenpipe.load.state import LoadState
from brokenpipe.load.users import locustfile_loader
from brokenpipe.load.users.allocation import ClassWeight, allocate_users
from brokenpipe.load.users.arm_classes import arm_classes


def build_user_classes() -> dict[str, type[User]]:
    """The user classes for Locust, by name. Ends the process when there are none."""
    if master := os.environ.get(MASTER_VARIABLE):
        return _build_user_classes(join(master), MasterChannel())
    config = LoadConfig.from_json(os.environ[VARIABLE])
    return _build_user_classes(config, ControlChannel(config.control_fd))


def _build_user_classes(config: LoadConfig, channel: ControlChannel | MasterChannel) -> dict[str, type[User]]:
    event = RequestEvent()
    event.state = state = LoadState(config, _request_log(config, channel), event.publish)
    events.request = event  # before the user's file adds its listeners, and Locust its own
    control_client = _control_client(state, channel)
    control_client.attach(events)
    seeded_random.install(config.seed)
    _remove_own_folder_from_path()
    try:
        loaded = locustfile_loader.load(config.locustfile)
        counts = _user_counts(loaded, config.users)
    except locustfile_loader.LocustfileDefect as defect:
        _exit_with(channel, Failed("locustfile", str(defect)))
    _add_notices(state, loaded, counts)
    if config.web and isinstance(control_client, ControlClient):
        from brokenpipe.load.web.runs import WebRunController

        control_client.web_runs = web_runs = WebRunController(
            config, partial(_user_counts, loaded), event, control_client
        )
        web_runs.attach(events)
    return arm_classes(counts, state)


def _request_log(config: LoadConfig, channel: ControlChannel | MasterChannel) -> RequestLog:
    if isinstance(channel, MasterChannel):
        return RequestLog(config.requests_path, channel.record)
    if config.workers:
        return RequestLog(config.requests_path, lambda *_: None)  # a master has no users
    try:
        return RequestLog(config.requests_path)
    except OSError as error:
        _exit_with(channel, recording_failed(config.requests_path, error))


def _control_client(state: LoadState, channel: ControlChannel | MasterChannel) -> ControlClient | Master:
    if isinstance(channel, MasterChannel):
        return WorkerControlClient(state, channel)
    return Master(state, channel) if state.config.workers else ControlClient(state, channel)


def _user_counts(loaded: locustfile_loader.LoadedLocustfile, users: int) -> dict[type[User], int]:
    weights = [ClassWeight(made.weight, made.fixed_count) for made in loaded.user_classes]
    try:
        return dict(zip(loaded.user_classes, allocate_users(users, weights), strict=True))
    except ValueError as error:
        raise locustfile_loader.LocustfileDefect(str(error)) from error


def _add_notices(
    state: LoadState, loaded: locustfile_loader.LoadedLocustfile, counts: dict[type[User], int]
) -> None:
    for shape in loaded.shapes:
        text = f"the load shape {type(shape).__name__} is ignored: the scenario's phases say when users act"
        state.add_notice(Notice("load_shape", text))
    for made, users in counts.items():
        if not users:
            text = f"{made.__name__} gets none of {state.config.users} users for each arm, by its weight"
            state.add_notice(Notice("class_without_users", text))


def _remove_own_folder_from_path() -> None:
    """Remove this folder from sys.path, where Locust puts it: `import config` of a locustfile would find ours."""
    ours = str(Path(__file__).parent)
    sys.path[:] = [entry for entry in sys.path if entry != ours]


def _exit_with(channel: ControlChannel | MasterChannel, failed: Failed) -> NoReturn:
    channel.send(failed)
    sys.exit(f"{failed.text}")
