"""What was found, as rows for the terminal: what, the value, the place that says so, and a mark at a guess."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from brokenpipe.init.discovery import DiscoveredService
from brokenpipe.init.found import Found


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `guess`: it was not said anywhere, and may be wrong."""

    what: str
    value: str
    where: str
    guess: bool = False


def summary_rows(service: DiscoveredService) -> Iterator[Row]:
    """Everything that goes into the files."""
    application, python = service.application, service.interpreter.value
    yield Row(
        "application", f"{application.value.framework}, {application.value.path}", _evidence(application)
    )
    yield Row("start", shlex.join(service.start.value.command), _evidence(service.start), service.start.guess)
    shown = (
        str(python.relative_to(service.folder))
        if python and python.is_relative_to(service.folder)
        else python
    )
    yield Row(
        "interpreter",
        f"{shown or 'that of brokenpipe'}, Python {service.python_version}",
        _evidence(service.interpreter),
        service.interpreter.guess,
    )
    database = service.database.value
    value = f"{database.dsn_env}, {database.dsn}" if database.dsn_env else " ".join(database.env)
    yield Row("database", value, _evidence(service.database))
    yield _tables(service)
    for name, found in service.settings.items():
        yield Row("variable", f"{name} = {found.value}", _evidence(found), found.guess)
    yield from _endpoints(service)


def _tables(service: DiscoveredService) -> Row:
    if found := service.migrations:
        return Row("tables", " && ".join(map(shlex.join, found.value)), _evidence(found))
    if service.makes_tables:
        return Row("tables", "the service makes them itself", service.makes_tables)
    return Row("tables", "nothing was found that makes them", "`prepare` in target.toml", guess=True)


def _endpoints(service: DiscoveredService) -> Iterator[Row]:
    endpoints = service.endpoints
    if endpoints.error:
        yield Row(
            "endpoints", "could not be read: users ask for /", " ".join(endpoints.error[-1:]), guess=True
        )
    else:
        reads = sum(each.reads and not each.is_health for each in endpoints.every)
        writes = sum(not each.reads for each in endpoints.every)
        yield Row("endpoints", f"{reads} that read, {writes} that write (as comments)", endpoints.source)
    ready = f"GET {service.ready}" if service.ready else "its port accepts connections"
    yield Row("ready", ready, endpoints.source or "no health endpoint is known", guess=not service.ready)


def _evidence(found: Found[Any]) -> str:
    return f"{found.where}, {found.why}" if found.why else found.where
