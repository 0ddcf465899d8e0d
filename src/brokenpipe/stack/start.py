"""Starts a stack in child processes or in containers, as its plan says. It gives the same Stack either way."""

from __future__ import annotations

from contextlib import AbstractContextManager

from brokenpipe.stack.builder import build_stack
from brokenpipe.stack.local import local_runtime
from brokenpipe.stack.spec import StackSpec
from brokenpipe.stack.stack import Stack


def start_stack(spec: StackSpec) -> AbstractContextManager[Stack]:
    """Everything the plan needs, ready, for as long as the block lasts. Raises StackError for what did not start.

    In containers it also raises UsageError, for an engine that is not on this machine, and EngineError.
    """
    if spec.plan.stack == "compose":
        from brokenpipe.stack.compose import compose_runtime  # the Docker SDK takes 0.2 s to import

        return build_stack(spec, compose_runtime(spec))
    return build_stack(spec, local_runtime(spec))
