"""All faults: those of this package, and those that other distributions register under the entry points of GROUP.

    [project.entry-points."brokenpipe.faults"]
    far_region = "brokenpipe_far:FarRegion"        the fault's name = its class

They are found when a fault is first asked for. An entry point that gives no usable fault is a problem of its own and
hides no other fault: who plays faults calls `check_plugins` first, and who reads a history goes on without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from brokenpipe.errors import PluginError
from brokenpipe.faults.backend_kill import BackendKill
from brokenpipe.faults.base import Fault
from brokenpipe.faults.black_hole import BlackHole
from brokenpipe.faults.commit_cut import CommitCut
from brokenpipe.faults.idle_drop import IdleDrop
from brokenpipe.faults.idle_reset import IdleReset
from brokenpipe.faults.latency import Latency
from brokenpipe.faults.packet_drop import PacketDrop
from brokenpipe.faults.proxy_control import Stage, Toxic
from brokenpipe.faults.refuse import Refuse
from brokenpipe.faults.server_pause import ServerPause
from brokenpipe.faults.server_restart import ServerRestart
from brokenpipe.faults.server_setting import ServerSetting
from brokenpipe.faults.socket_kill import SocketKill

GROUP = "brokenpipe.faults"
_NAME = r"[a-z][a-z0-9_]{0,39}"

BUILT_IN: tuple[type[Fault], ...] = (
    SocketKill,
    Latency,
    IdleReset,
    IdleDrop,
    BlackHole,
    PacketDrop,
    Refuse,
    CommitCut,
    BackendKill,
    ServerRestart,
    ServerPause,
    ServerSetting,
)


@dataclass(frozen=True, slots=True)
class Plugin:
    """The distribution that registers a fault."""

    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Every fault by its name. `plugins` has those of other distributions, `problems` those that cannot be used."""

    kinds: Mapping[str, type[Fault]]
    plugins: Mapping[str, Plugin]
    problems: tuple[PluginError, ...]


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The faults that are installed."""
    kinds = {kind.fault_name(): kind for kind in BUILT_IN}
    plugins: dict[str, Plugin] = {}
    problems: list[PluginError] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        source = _plugin_of(entry)
        try:
            kinds[entry.name] = _load(entry, source, kinds, plugins)
            plugins[entry.name] = source
        except PluginError as problem:
            problems.append(problem)
    return Registry(kinds, plugins, tuple(problems))


def fault_kinds() -> tuple[type[Fault], ...]:
    """Every fault, those of this package first."""
    return tuple(registry().kinds.values())


def fault_kind(name: str) -> type[Fault] | None:
    """The fault of this name; None: none that is installed has it."""
    return registry().kinds.get(name)


def faults_with(**attributes: object) -> frozenset[str]:
    """The names of all faults whose classes have these values, such as `stops_server=True`."""
    return frozenset(
        name
        for name, kind in registry().kinds.items()
        if all(getattr(kind, key) == value for key, value in attributes.items())
    )


def check_plugins() -> None:
    """Raises PluginError for the first entry point that gives no usable fault; its details name the others."""
    problems = registry().problems
    if problems:
        first, *others = problems
        raise PluginError(
            first.fault, first.message, remedy=first.remedy, details=tuple(other.message for other in others)
        )


_STAGES: tuple[Stage, ...] = ("waiting", "parsing", "ending")


def neutral_toxics() -> tuple[Toxic, ...]:
    """What every proxy carries, in the order of its chain.

    The last one upstream is a toxic of ours, next to which arming can be switched without hanging.
    """
    every = {toxic.name: toxic for kind in fault_kinds() for toxic in kind.all_toxics}
    return tuple(sorted(every.values(), key=lambda toxic: _STAGES.index(toxic.stage)))


# --- one entry point --------------------------------------------------------------------------------


def _load(
    entry: EntryPoint, source: Plugin, kinds: Mapping[str, type[Fault]], plugins: Mapping[str, Plugin]
) -> type[Fault]:
    """The fault of an entry point. Raises PluginError."""
    if entry.name in kinds:
        other = plugins.get(entry.name)
        owner = f"{other.distribution} {other.version}" if other else "brokenpipe itself"
        raise _problem(
            entry, source, f"the name {entry.name} belongs to a fault of {owner}", "Uninstall one of the two."
        )
    try:
        found = entry.load()
    except Exception as error:
        raise _problem(
            entry, source, f"cannot be imported: {type(error).__name__}: {error}", _REINSTALL
        ) from error
    for wrong in _defects(entry.name, found, kinds):
        raise _problem(entry, source, wrong, _CORRECT)
    kind: type[Fault] = found
    return kind


_REINSTALL = "Update it or install what it needs; or uninstall {distribution}."
_CORRECT = 'Correct {distribution} (docs/faults.md, "A fault of your own"), or uninstall it.'


def _problem(entry: EntryPoint, source: Plugin, wrong: str, remedy: str) -> PluginError:
    message = f"{source.distribution} {source.version}: entry point {entry.name} = {entry.value} of {GROUP}: {wrong}"
    return PluginError(entry.name, message, remedy=remedy.format(distribution=source.distribution))


def _defects(name: str, found: object, kinds: Mapping[str, type[Fault]]) -> Iterator[str]:
    """What is wrong with it, the first of which is told."""
    if not (isinstance(found, type) and issubclass(found, Fault)):
        yield f"is {_described(found)}, and no subclass of brokenpipe.faults.Fault"
        return
    if missing := sorted(found.__abstractmethods__) + [
        key for key in ("momentary",) if not hasattr(found, key)
    ]:
        yield f"{found.__name__} does not say {', '.join(missing)}"
        return
    field = found.model_fields["name"]
    if get_args(field.annotation) != (name,) or field.default != name:
        yield f'{found.__name__} must have `name: Literal["{name}"] = "{name}"`, as its entry point'
    if not re.fullmatch(_NAME, name):
        yield "its name must be of lower-case letters, digits and _, a letter first, 40 at most"
    yield from _toxic_defects(found, kinds)
    try:
        found.variants()
    except Exception as error:  # noqa: BLE001 - as above
        first = str(error).splitlines()
        yield (
            f"{found.__name__} cannot be made without parameters ({' '.join(first[:3])}): give each a default, "
            "or `examples`, or override variants()"
        )


def _toxic_defects(kind: type[Fault], kinds: Mapping[str, type[Fault]]) -> Iterator[str]:
    known = {toxic.name: toxic for other in kinds.values() for toxic in other.all_toxics}
    for toxic in kind.all_toxics:
        if known.get(toxic.name, toxic) != toxic:
            yield f"{kind.__name__} has a toxic {toxic.name}, of which there is another with the same name"


def _described(found: object) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"


def _plugin_of(entry: EntryPoint) -> Plugin:
    if entry.dist is None:
        return Plugin("an unknown distribution", "?")
    return Plugin(entry.dist.name, entry.dist.version)
