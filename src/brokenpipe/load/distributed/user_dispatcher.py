"""Locust's dispatcher, taught to deal users by their shards: every worker gets the same share of each arm."""

# mypy: disallow-untyped-calls=False
# (gevent carries no types)

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gevent
from locust import User
from locust.dispatch import UsersDispatcher

from brokenpipe.load.users.shards import Shard

if TYPE_CHECKING:
    from locust.runners import WorkerNode

PATIENCE_S = 10.0  # from the last worker's greeting to its shard; it takes a round trip


class Dealer(UsersDispatcher):
    """All users at once, once. A worker that is lost is not replaced: its users would begin their draws anew."""

    def __init__(
        self,
        shards: Mapping[str, Shard],
        of: int,
        worker_nodes: Sequence[WorkerNode],
        user_classes: Sequence[type[User]],
    ) -> None:
        super().__init__(list(worker_nodes), list(user_classes))
        self._shards = shards
        self._of = of
        self._nodes = [node.id for node in worker_nodes]
        self._classes = list(user_classes)

    def new_dispatch(self, *_: Any, **__: Any) -> None:
        """Wait until everybody is seated, and deal."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self._shards) < self._of and time.monotonic() < deadline:
            gevent.sleep(0.01)
        self._dispatcher_generator = (dealt for dealt in [{node: self._hand(node) for node in self._nodes}])

    def add_worker(self, worker_node: WorkerNode) -> None:
        pass

    def remove_worker(self, worker_node: WorkerNode) -> None:
        pass

    def _hand(self, node: str) -> dict[str, int]:
        """Users by class. Nobody who came without being expected gets any."""
        shard = self._shards.get(node)
        return {
            made.__name__: shard.user_count(made.fixed_count, made.users_before) if shard else 0  # type: ignore[attr-defined]
            for made in self._classes
        }
