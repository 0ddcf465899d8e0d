"""A language model that is only simulated: it takes its time and says something."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b

OPENING = "That depends on what was said before, so here is what I remember and what I make of it."


@dataclass(frozen=True, slots=True)
class SimulatedLLM:
    """A model that needs `mean_ms` for an answer, between half and one and a half of it, evenly spread.

    The request id decides how long: the same request takes the same time in every process and every run.
    """

    mean_ms: float

    def delay_s(self, request_id: str | None) -> float:
        """How long an answer to this request takes, in seconds; random for a request without an id."""
        share = random.random() if request_id is None else _share(request_id)
        return self.mean_ms / 1000 * (0.5 + share)

    async def complete(self, prompt: str, delay_s: float) -> str:
        """Answer in one piece, after the delay."""
        await asyncio.sleep(delay_s)
        return f"{OPENING} ({len(prompt)} characters read)"

    async def stream(self, prompt: str, delay_s: float, chunks: int) -> AsyncIterator[str]:
        """Answer in `chunks` pieces, one at the end of each equal part of the delay."""
        answer = await self.complete(prompt, delay_s / chunks)
        size = -(-len(answer) // chunks)
        yield answer[:size]
        for n in range(1, chunks):
            await asyncio.sleep(delay_s / chunks)
            yield answer[n * size : (n + 1) * size]


def _share(request_id: str) -> float:
    """Spread ids evenly over [0, 1). A hash from the library: Python's own differs in each process."""
    return int.from_bytes(blake2b(request_id.encode(), digest_size=7).digest()) / 2**56
