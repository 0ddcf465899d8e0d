"""Broken services: they fail nearly every request without any fault, so their arms say nothing about settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from brokenpipe.formatting import plural
from brokenpipe.history.validity_codes import Code
from brokenpipe.history.validity_codes.target import ENOUGH_REQUESTS, NEARLY_ALL
from brokenpipe.measure.failures.root_cause import FailedRequest
from brokenpipe.measure.model.arm_phase import ArmPhase, ArmPhaseStats
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.plan.scenario import Scenario

MAX_TEXT = 160  # of an exception's text


@dataclass(frozen=True, slots=True)
class BrokenService:
    """One arm, in the first phase in which it shows. `why`: the exception that most of its failures had."""

    arm: str
    phase: str
    failed: int
    requests: int
    why: str

    @property
    def figures(self) -> str:
        return f"{self.failed:,} of {plural(self.requests, 'request')} failed in {self.phase}"


def broken_services(
    scenario: Scenario, cells: Mapping[ArmPhase, ArmPhaseStats], failures: Sequence[FailedRequest]
) -> tuple[BrokenService, ...]:
    """The arms that never worked. An arm that worked before a fault and has not recovered is not among them."""
    return tuple(found for arm in scenario.arms for found in _first(scenario, arm, cells, failures))


def _first(
    scenario: Scenario, arm: str, cells: Mapping[ArmPhase, ArmPhaseStats], failures: Sequence[FailedRequest]
) -> Iterator[BrokenService]:
    played = [cell for (other, _), cell in cells.items() if other == arm]
    for n, cell in enumerate(played):
        calm = scenario.phase(cell.phase).fault is None
        if calm and nearly_all(cell.failed, cell.requests) and _never_worked(played[: n + 1]):
            why = _main_exception([each for each in failures if (each.arm, each.phase) == (arm, cell.phase)])
            yield BrokenService(arm, cell.phase, cell.failed, cell.requests, why)
            return


def _never_worked(played: Sequence[ArmPhaseStats]) -> bool:
    return nearly_all(sum(cell.failed for cell in played), sum(cell.requests for cell in played))


def nearly_all(failed: int, requests: int) -> bool:
    """Whether enough requests failed to call a service broken."""
    return requests >= ENOUGH_REQUESTS and failed >= NEARLY_ALL * requests


def _main_exception(failures: Sequence[FailedRequest]) -> str:
    said = Counter(_root_text(failure) for failure in failures)
    return said.most_common(1)[0][0] if said else ""


def _root_text(failure: FailedRequest) -> str:
    """The innermost exception, if any is known."""
    if not failure.chain:
        return "nobody told why"
    root = failure.chain[-1]
    text = " ".join(root.text.split())
    text = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return f"{root.type}: {text}" if text else root.type


def service_warnings(broken: Sequence[BrokenService], arms: Sequence[str]) -> Iterator[ValidityWarning]:
    """One for each arm; a single one about the whole run if all are like that."""
    if broken and len(broken) == len(arms):
        yield ValidityWarning.of(Code.SERVICE_BROKEN, f"in every arm, such as {_service_text(broken[0])}")
        return
    for each in broken:
        yield ValidityWarning.of(Code.SERVICE_BROKEN, _service_text(each), arm=each.arm)


def _service_text(each: BrokenService) -> str:
    return (
        f"{each.arm}: {each.figures}, where nothing is broken; most often {each.why}; "
        f"its log is logs/target-{each.arm}.log"
    )


def service_sentence(broken: Sequence[BrokenService]) -> str:
    """The headline of a run with broken services; empty if there is none."""
    if not broken:
        return ""
    first, *others = broken
    more = f", and likewise {', '.join(each.arm for each in others)}" if others else ""
    return (
        f"The service fails without any fault: {first.figures} in {first.arm}{more}. "
        "Until it answers, this says nothing about settings."
    )
