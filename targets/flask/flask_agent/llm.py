"""A language model that is only simulated: it takes its time, in the thread of the request, and says something."""

import random
import time
from collections.abc import Iterator
from hashlib import blake2b

ANSWER = "It depends on the pool, and on what has become of its connections while I was thinking."


def delay_s(request_id: str | None, mean_ms: float) -> float:
    """Between half and one and a half of the mean. A request of the same id takes the same time in every arm."""
    if request_id is None:
        share = random.random()
    else:
        share = int.from_bytes(blake2b(request_id.encode(), digest_size=7).digest()) / 2**56
    return mean_ms / 1000 * (0.5 + share)


def stream(delay: float, count: int) -> Iterator[str]:
    """The answer in so many pieces, each after its share of the delay."""
    size = -(-len(ANSWER) // count)
    for begin in range(0, len(ANSWER), size):
        time.sleep(delay / count)
        yield ANSWER[begin : begin + size]
