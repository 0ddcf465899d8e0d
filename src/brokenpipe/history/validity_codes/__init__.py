"""The closed list of reasons to mistrust what was measured: when each is raised, its consequence, what to do.

Some are raised while an experiment runs and written into its history, others by the figures it leaves. All of them
stand here, one file for each part of the instrument, and in docs/doubts.md, in the same words and the same order.
"""

from __future__ import annotations

from collections.abc import Mapping

from brokenpipe.history.validity_codes.faults import FAULTS
from brokenpipe.history.validity_codes.harness import HARNESS
from brokenpipe.history.validity_codes.kind import Code, DoubtKind
from brokenpipe.history.validity_codes.load import LOAD
from brokenpipe.history.validity_codes.machine import MACHINE
from brokenpipe.history.validity_codes.plan import PLAN
from brokenpipe.history.validity_codes.target import TARGET

DOUBTS: Mapping[Code, DoubtKind] = {**LOAD, **FAULTS, **TARGET, **HARNESS, **MACHINE, **PLAN}

__all__ = ["DOUBTS", "Code", "DoubtKind"]
