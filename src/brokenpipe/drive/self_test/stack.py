"""The self-test of faults on a running stack: on the wire, at a server of its own, and in a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from brokenpipe.drive.self_test.commit import self_test_commits
from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.faults import Fault
from brokenpipe.history.records import SelfTest
from brokenpipe.stack.stack import Stack


def self_test_on_stack(
    faults: Iterable[Fault], stack: Stack, settle: Callable[[], None] | None = None
) -> list[SelfTest]:
    """Test each of these faults once on this machine. `settle`: see self_test_faults. Raises StackError."""
    tested = tuple(faults)
    return [
        *self_test_faults(
            tested, stack.toxiproxy, stack.scratch_postgres, harness_host=stack.harness_host, settle=settle
        ),
        *self_test_commits(tested, stack.toxiproxy, stack.postgres),
    ]
