"""A dispatcher for Locust that gives each worker a fixed shard of every arm's users."""

# mypy: disallow-untyped-calls=False
# (gevent carries no types)

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gevent
from locust import User
from locust.dispatch import UsersDispatcher

from brokenpipe.load.shards import Shard

if TYPE_CHECKING:
    from locust.runners import WorkerNode

SHARDS_WAIT_S = 10.0  # until all workers have a shard; a round trip each


class ShardedDispatcher(UsersDispatcher):
    """Spawns all users at once and never rebalances: a user that moved to another worker would restart its draws."""

    def __init__(
        self,
        shards: Mapping[str, Shard],
        worker_count: int,
        worker_nodes: Sequence[WorkerNode],
        user_classes: Sequence[type[User]],
    ) -> None:
        super().__init__(list(worker_nodes), list(user_classes))
        self._shards = shards
        self._worker_count = worker_count
        self._nodes = [node.id for node in worker_nodes]
        self._classes = list(user_classes)

    def new_dispatch(self, *_: Any, **__: Any) -> None:
        """Wait until every worker has a shard, and spawn all users."""
        deadline = time.monotonic() + SHARDS_WAIT_S
        while len(self._shards) < self._worker_count and time.monotonic() < deadline:
            gevent.sleep(0.01)
        self._dispatcher_generator = (
            users for users in [{node: self._users_for(node) for node in self._nodes}]
        )

    def add_worker(self, worker_node: WorkerNode) -> None:
        pass

    def remove_worker(self, worker_node: WorkerNode) -> None:
        pass

    def _users_for(self, node: str) -> dict[str, int]:
        """Users by class; none for a worker without a shard."""
        shard = self._shards.get(node)
        return {
            made.__name__: shard.user_count(made.fixed_count, made.users_before) if shard else 0  # type: ignore[attr-defined]
            for made in self._classes
        }
