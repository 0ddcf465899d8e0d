"""The pools of each arm: how they were made, each way once."""

from __future__ import annotations

import json
from collections import defaultdict

from brokenpipe.history.reader import History
from brokenpipe.measure.model.pool_settings import PoolSettings

DJANGO = "django"


def pool_settings(history: History) -> dict[str, tuple[PoolSettings, ...]]:
    """By arm, in the order in which they were made. An arm of whose pools nothing was recorded is missing."""
    made: dict[str, dict[tuple[str, str, str], PoolSettings]] = defaultdict(dict)
    for arm, library, constructor, arguments in history.rows(_SETTINGS):
        settings = PoolSettings(library, constructor, json.loads(arguments))
        made[arm].setdefault((library, constructor, arguments), settings)
    return {
        arm: _without_inner_pools(_with_pools(tuple(settings.values()))) for arm, settings in made.items()
    }


_SETTINGS = """
SELECT witness_arm, library, constructor, arguments FROM pool_settings
WHERE library IS NOT NULL AND constructor IS NOT NULL AND json_type(arguments) = 'OBJECT' ORDER BY t"""


def _with_pools(settings: tuple[PoolSettings, ...]) -> tuple[PoolSettings, ...]:
    """Those that keep connections, if any does: an engine without a pool beside it is for migrations and the like."""
    return tuple(each for each in settings if each.arguments.get("poolclass") != "NullPool") or settings


def _without_inner_pools(settings: tuple[PoolSettings, ...]) -> tuple[PoolSettings, ...]:
    """Django makes the pool of its own settings: whoever copies those has it."""
    if not any(each.library == DJANGO and "pool" in each.arguments for each in settings):
        return settings
    return tuple(each for each in settings if each.library == DJANGO)
