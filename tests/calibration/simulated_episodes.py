"""Episodes drawn by chance that imitate real ones: 30 to 60 requests each, of which a strike breaks 0 to 10.

Each model gives (runs × episodes) arrays of broken requests and requests. What real runs look like: most strikes
break a few requests in use (`in_use`); behind an idle limit asyncpg breaks one request an episode or none (`one`),
psycopg one for each connection (`all`); some faults hit one episode in three and then break several (`some`, `few`);
an outage breaks every request of an episode or hardly any (`outage`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Drawn = tuple[Array, Array]
Shape = tuple[int, int]


def _overdispersed(draw: np.random.Generator, mean: float, shape: Shape, dispersion: float) -> Array:
    return draw.poisson(mean * draw.gamma(dispersion, 1 / dispersion, shape)).astype(float)


def _hit_some(draw: np.random.Generator, shape: Shape, share: float) -> Array:
    several = np.minimum(1 + _overdispersed(draw, 3, shape, 1.5), 10)
    return np.where(draw.random(shape) < share, several, 0.0)


MODELS: dict[str, Callable[[np.random.Generator, Shape], Array]] = {
    "in_use": lambda draw, shape: np.minimum(_overdispersed(draw, 2, shape, 2), 10),
    "many": lambda draw, shape: np.minimum(_overdispersed(draw, 4, shape, 3), 10),
    "one": lambda draw, shape: (draw.random(shape) < 0.7) * (1.0 + draw.poisson(0.3, shape)),
    "all": lambda draw, shape: draw.binomial(10, 0.8, shape).astype(float),
    "some": lambda draw, shape: _hit_some(draw, shape, 0.5),
    "few": lambda draw, shape: _hit_some(draw, shape, 0.3),
    "outage": lambda draw, shape: draw.binomial(30, np.where(draw.random(shape) < 0.5, 1.0, 0.2)).astype(
        float
    ),
}


def episodes(model: str, draw: np.random.Generator, shape: Shape) -> Drawn:
    """Broken requests and requests of each episode."""
    return MODELS[model](draw, shape), draw.integers(30, 61, shape).astype(float)


@cache
def true_rate(model: str) -> float:
    """What an endless run would show."""
    broken, requests = episodes(model, np.random.default_rng(99), (1, 1_000_000))
    return float(broken.sum() / requests.sum())
