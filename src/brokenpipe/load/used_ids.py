"""The request ids that locustfiles have set, in a fixed amount of memory: two Bloom filters that take turns.

    newer   gets every id; when it has CAPACITY of them it becomes the older one, and that one is forgotten
    older   is only asked

An id is remembered for at least CAPACITY further ids. A filter never forgets an id that it has; it may take an id that
is new for a used one, of full filters about one in 10,000: such an id gets ours behind it, as a used one does.
https://en.wikipedia.org/wiki/Bloom_filter
"""

from __future__ import annotations

import hashlib

CAPACITY = 1_500_000  # ids of a filter
_BITS = 1 << 26  # of a filter: 8 MB
_HASHES = 4


class UsedIds:
    """The ids that were used, the last CAPACITY of them for certain. Takes no memory before the first one."""

    def __init__(self, capacity: int = CAPACITY, bits: int = _BITS) -> None:
        self._capacity = capacity
        self._bits = bits
        self._newer, self._older = bytearray(), bytearray()
        self._count = 0  # ids in the newer filter

    @property
    def size_bytes(self) -> int:
        return len(self._newer) + len(self._older)

    def add(self, request_id: str) -> bool:
        """Add an id. Returns whether it was new."""
        if self._count == 0:
            self._newer, self._older = bytearray(self._bits // 8), self._newer
        places = self._places(request_id)
        new = not (_has(self._newer, places) or _has(self._older, places))
        for place in places:
            self._newer[place >> 3] |= 1 << (place & 7)
        self._count = (self._count + 1) % self._capacity
        return new

    def _places(self, request_id: str) -> list[int]:
        """The bits of an id, from two hashes (Kirsch and Mitzenmacher, Less Hashing, Same Performance)."""
        digest = hashlib.blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        first, step = int.from_bytes(digest[:8]), int.from_bytes(digest[8:]) | 1
        return [(first + n * step) % self._bits for n in range(_HASHES)]


def _has(bits: bytearray, places: list[int]) -> bool:
    return bool(bits) and all(bits[place >> 3] >> (place & 7) & 1 for place in places)
