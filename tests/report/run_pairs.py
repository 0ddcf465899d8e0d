"""Pairs of recorded runs to compare, with figures that can be counted on fingers."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.measure.recorded import RESET, Chain, Recorded, error
from tests.unit.plans import KILL, scenario

EPISODES = 12
NONE = (0,) * EPISODES
SOME = (3, 4, 2, 3, 5, 3, 2, 4, 3, 3, 4, 2)
A_FEW = (0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 0, 0)


def recorded(
    folder: Path,
    broken: Mapping[str, Sequence[int]],
    *,
    ms: Mapping[str, float] | None = None,
    chain: Chain = RESET,
    late_s: float = 0.0,
    requests: int = 10,
    environment: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A run of twelve strikes: in each, so many requests an arm, of which so many break. `late_s`: it began later.

    What breaks does so at the strike. `changes` are made in the scenario that was run.
    """
    drawn = random.Random(folder.name)
    plan = scenario(KILL | {"episodes": EPISODES}, arms=tuple(broken)).model_copy(update=changes)
    with Recorded(folder, plan) as run:
        run.probe()
        run.phase("kill", [(late_s + n, late_s + n + 1, late_s + n + 0.5) for n in range(EPISODES)])
        for arm, counts in broken.items():
            run.land(arm, "kill", EPISODES)
            for n, count in enumerate(counts):
                for i in range(requests):
                    hit = i < count
                    at = late_s + n + (0.5 if hit else (i + 0.2) / requests)
                    slower = (ms or {}).get(arm, 50.0) + drawn.uniform(-2, 2)
                    run.request(arm, at, slower, errors=[error("query", chain)] if hit else None)
        run.finish(at=late_s + EPISODES + 1)
    document = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(document | dict(environment or {})))
    return folder
