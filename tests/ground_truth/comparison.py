"""What was planted beside what was found, request by request."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.ground_truth.scripts import Play, by_phase
from tests.ground_truth.truth import Planted, Told, planted, read_books, read_holds, read_strikes

from brokenpipe.error_class import ErrorClass
from brokenpipe.history.reader import open_history
from brokenpipe.measure.attribution.engine import attribute_failures
from brokenpipe.measure.failures.request_stage import RequestStage
from brokenpipe.measure.failures.root_cause import FailedRequest, failures
from brokenpipe.measure.model.attribution import Attribution, Relation
from brokenpipe.measure.tables.requests import create_request_tables

NOT_LOOKED_AT = "not looked at"


class Judgement(StrEnum):
    RIGHT = "right"
    MISSING = "missing"  # it does not know, and says so
    WRONG = "wrong"


class Aspect(StrEnum):
    """What is claimed about a failed request. Each has a matrix."""

    CLASS = "What it is called"
    MOMENT = "What the request was about"
    TIE = "How it hangs together with a fault"
    FAULT = "Which fault"
    STRIKE = "Which strike"
    PREVENTABLE = "Whether pre-ping or recycling could have prevented it"


_UNKNOWN: Mapping[Aspect, frozenset[str]] = {
    Aspect.CLASS: frozenset({ErrorClass.UNEXPLAINED}),
    Aspect.MOMENT: frozenset({RequestStage.UNKNOWN, RequestStage.AFTER_REST}),
    Aspect.TIE: frozenset({Relation.UNKNOWN}),
    Aspect.FAULT: frozenset({"none"}),
    Aspect.STRIKE: frozenset({"None"}),
    Aspect.PREVENTABLE: frozenset({"not known"}),
}


@dataclass(frozen=True)
class Pair:
    """One failed request. `found` is None if measure/ does not count it among the failures."""

    driver: str
    phase: str
    told: Told
    planted: Planted
    found: tuple[FailedRequest, Attribution] | None

    def labels(self, aspect: Aspect) -> tuple[str, str]:
        """Planted, found."""
        if self.found is None:
            return _label(self.planted, aspect, None), NOT_LOOKED_AT
        failure, attribution = self.found
        said = {
            Aspect.CLASS: failure.error_class,
            Aspect.MOMENT: attribution.stage,
            Aspect.TIE: attribution.relation,
            Aspect.FAULT: attribution.fault or "none",
            Aspect.STRIKE: str(attribution.episode),
            Aspect.PREVENTABLE: _yes(attribution.preventable),
        }
        return _label(self.planted, aspect, failure.error_class), said[aspect]

    def judge(self, aspect: Aspect) -> Judgement:
        if not self.claims(aspect):
            return Judgement.RIGHT
        expected, said = self.labels(aspect)
        if expected == said:
            return Judgement.RIGHT
        return Judgement.MISSING if said in {*_UNKNOWN[aspect], NOT_LOOKED_AT} else Judgement.WRONG

    def claims(self, aspect: Aspect) -> bool:
        """Whether something was planted in this respect."""
        if aspect is Aspect.STRIKE:
            return self.planted.episode is not None
        return aspect is not Aspect.PREVENTABLE or self.planted.preventable is not None

    @property
    def judgement(self) -> Judgement:
        """The worst of all aspects."""
        judgements = {self.judge(aspect) for aspect in Aspect}
        return next(each for each in reversed(Judgement) if each in judgements)


def _label(what: Planted, aspect: Aspect, found: ErrorClass | None) -> str:
    classes = what.classes
    return {
        Aspect.CLASS: found if found in classes else min(classes),
        Aspect.MOMENT: what.moment,
        Aspect.TIE: what.tie,
        Aspect.FAULT: what.fault or "none",
        Aspect.STRIKE: str(what.episode),
        Aspect.PREVENTABLE: _yes(what.preventable),
    }[aspect]


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "not known"}[value]


@dataclass(frozen=True)
class Tally:
    """Every failed request of some runs. `at_the_edge`: a strike may have hit either of two steps."""

    pairs: Sequence[Pair]
    at_the_edge: int

    def matrix(self, aspect: Aspect) -> Counter[tuple[str, str]]:
        """How often what was planted was found as what."""
        return Counter(pair.labels(aspect) for pair in self.pairs if pair.claims(aspect))

    def judged(self, judgement: Judgement) -> Sequence[Pair]:
        return [pair for pair in self.pairs if pair.judgement is judgement]

    def __add__(self, other: Tally) -> Tally:
        return Tally([*self.pairs, *other.pairs], self.at_the_edge + other.at_the_edge)


def tally(folder: Path, books: Path, plays: Sequence[Play]) -> Tally:
    """The report folder of a run, and the folder of the services' books."""
    found, strikes, known = _found(folder), read_strikes(folder), by_phase(plays)
    held = read_holds(folder)
    pairs, edges = [], 0
    told = {driver: read_books(books / f"books-{driver}.ndjson") for driver in _arms(folder)}
    for driver, request, phase in _failed(folder):
        story = told[driver][request]
        if story.cue != phase:  # asked as the phase ended, and read when the next was on
            edges += 1
            continue
        truth = planted(
            known[phase], story, strikes.get((driver, phase), ()), driver, held.get((driver, phase), (0, 0))
        )
        if truth is None:
            edges += 1
        else:
            pairs.append(Pair(driver, phase, story, truth, found.pop((driver, request), None)))
    return Tally(pairs, edges)


def _found(folder: Path) -> dict[tuple[str, str], tuple[FailedRequest, Attribution]]:
    """What measure/ says, by arm and request."""
    with open_history(folder) as history:
        plan = history.document("plan.json")
        create_request_tables(history, limit_s=plan["scenario"]["load"]["timeout_s"])
        failed = failures(history)
        each = zip(failed, attribute_failures(history, failed), strict=True)
        return {(failure.arm, failure.id): (failure, attribution) for failure, attribution in each}


def _failed(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Arm, id and phase of every request that failed, by the log of the load, and counts."""
    episodes = sorted(
        (each["t0"], each["t1"], each["phase"]) for each in _lines(folder / "experiment.ndjson", "episode")
    )
    begins = [t0 for t0, _, _ in episodes]
    for end in _lines(folder / "requests.ndjson", "end"):
        n = bisect_right(begins, end["t0"]) - 1
        if "failure" in end and n >= 0 and end["t0"] < episodes[n][1]:
            yield end["arm"], end["id"], episodes[n][2]


def _arms(folder: Path) -> Sequence[str]:
    return list(json.loads((folder / "plan.json").read_text())["scenario"]["arms"])


def _lines(path: Path, kind: str) -> Iterator[Mapping[str, Any]]:
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if record["k"] == kind:
            yield record
