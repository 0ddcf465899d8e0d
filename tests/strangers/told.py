"""A report as its reader has it, beside the history that it was made from.

The history is read here from its lines and not by the program's own reader, so that a fault of measuring is not
repeated by what looks for it.
"""

from __future__ import annotations

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

Line = Mapping[str, Any]

_NOT_SHOWN = re.compile(r"<(script|style|head)\b.*?</\1>", re.DOTALL)
_WITNESS = re.compile(r"witness-(.*)-\d+(\.r\d+)?")


@dataclass(frozen=True)
class Request:
    """One request as the load saw it. `end_ns` None: its end was never seen."""

    arm: str
    id: str
    start_ns: int
    end_ns: int | None
    status: int
    failure: str | None
    key: str | None = None

    @property
    def ms(self) -> float:
        """How long its user waited; 0 if nobody knows."""
        return 0.0 if self.end_ns is None else (self.end_ns - self.start_ns) / 1e6

    @property
    def failed(self) -> bool:
        return self.failure is not None or self.end_ns is None


@dataclass(frozen=True)
class History:
    """The lines of a report folder, by kind; those of a witness carry their `arm`."""

    lines: Mapping[str, tuple[Line, ...]]
    witnessed: frozenset[str] = frozenset()  # arms whose service wrote a file of its own

    @classmethod
    def read(cls, folder: Path) -> History:
        found: dict[str, list[Line]] = defaultdict(list)
        witnessed = set()
        for path in sorted(folder.glob("*.ndjson")):
            arm = match[1] if (match := _WITNESS.fullmatch(path.stem)) else None
            witnessed |= {arm} if arm else set()
            for line in _lines(path):
                found[line["k"]].append({**line, "arm": arm} if arm else line)
        return cls({kind: tuple(lines) for kind, lines in found.items()}, frozenset(witnessed))

    def of(self, kind: str) -> tuple[Line, ...]:
        return self.lines.get(kind, ())

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """Each with its end, and those that never had one."""
        ended = [_request(end, end["t0"]) for end in self.of("end") if end.get("t0") is not None]
        known = {(each.arm, each.id) for each in ended}
        late = {(end["arm"], end["id"]): end for end in self.of("end") if end.get("t0") is None}
        begun = (each for each in self.of("start") if (each["arm"], each["id"]) not in known)
        return (*ended, *(_request(late.get((s["arm"], s["id"])) or s, s["t"]) for s in begun))

    @cached_property
    def testimonies(self) -> Mapping[tuple[str, str], Line]:
        """What the witness wrote of single requests, by arm and id."""
        return {(line["arm"], line["id"]): line for line in self.of("request")}

    def episodes(self, phase: str, arm: str) -> list[Line]:
        """Those that count, in their order."""
        return [
            each
            for each in self.of("episode")
            if each["phase"] == phase and each["counts"] and each.get("arm") in (None, arm)
        ]

    def counted(self, arm: str, phase: str) -> list[Request]:
        """The requests that began in an episode that counts."""
        spans = [(each["t0"], each["t1"]) for each in self.episodes(phase, arm)]
        mine = (each for each in self.requests if each.arm == arm)
        return [each for each in mine if any(t0 <= each.start_ns < t1 for t0, t1 in spans)]

    def failed(self, arm: str, phase: str) -> list[Request]:
        return [each for each in self.counted(arm, phase) if each.failed]

    def never_ended(self, arm: str, phase: str) -> bool:
        """Whether of some request nobody saw the end."""
        return any(each.end_ns is None for each in self.counted(arm, phase))

    def acknowledged(self, arm: str) -> set[str]:
        """The keys of writes that were answered as successes, whenever they were asked for."""
        return {each.key for each in self.requests if each.arm == arm and each.key and not each.failed}

    def has(self, arm: str, *kinds: str) -> bool:
        """Whether there is a line of these kinds about an arm."""
        return any(line["arm"] == arm for kind in kinds for line in self.of(kind))

    def ended_before(self, arm: str, port: int, t: int) -> bool:
        """Whether the link of a port, the last that was opened by then, was over by then, and not by its client."""
        mine = (arm, port)
        opened = [
            each["t"]
            for each in self.of("link_opened")
            if (each["arm"], each["port"]) == mine and each["t"] < t
        ]
        ends = [*self.of("link_cut"), *(each for each in self.of("link_ended") if each["ender"] != "client")]
        return bool(opened) and any(
            (each["arm"], each["port"]) == mine and max(opened) < each["t"] < t for each in ends
        )


@dataclass(frozen=True)
class Report:
    """`summary.json`, what the terminal and the page say, and the history. `live`: what was printed on the way."""

    summary: Mapping[str, Any]
    terminal: str
    page: str  # report.html as it stands in the file
    history: History = field(repr=False)
    live: str = ""

    @classmethod
    def read(cls, folder: Path, printed: str) -> Report:
        """The report in a folder; `printed` is all that the command said."""
        return cls(
            json.loads((folder / "summary.json").read_text()),
            plain(printed),
            (folder / "report.html").read_text(),
            History.read(folder),
            printed,
        )

    @cached_property
    def text(self) -> str:
        """Everything a reader may read, on one line."""
        return " ".join((plain(self.terminal), shown(self.page)))

    @property
    def arms(self) -> Mapping[str, Any]:
        arms: Mapping[str, Any] = self.summary["arms"]
        return arms

    def cells(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Arm, phase and figures of each place of the table."""
        for arm, whole in self.arms.items():
            for phase, cell in whole["phases"].items():
                yield arm, phase, cell

    def fault(self, phase: str) -> str:
        """Empty for none."""
        return str(self.summary["phases"][phase]["fault"] or "")

    def printed_table(self) -> Iterator[tuple[str, str, Mapping[str, str]]]:
        """Phase, arm and texts by heading of each row of the terminal's table, whose columns are flush right."""
        heads: list[re.Match[str]] = []
        phase = ""
        for line in self.live.replace("\u202f", " ").splitlines():
            if "95 % interval" in line:
                heads = list(re.finditer(r"\S+(?: \S+)*", line))
            elif not line.startswith(" "):
                phase = line.split(" · ")[0]
            elif heads and (words := line.split()) and words[0] in self.arms:
                edges = [0, *(head.end() for head in heads)]
                texts = [line[a:b].split("  ")[-1].strip() for a, b in pairwise(edges)]
                yield phase, words[0], {head[0]: text for head, text in zip(heads, texts, strict=True)}
            if line.startswith("cost"):
                return

    def total(self, arm: str, figure: str, phases: Iterable[str] | None = None) -> int:
        """A figure of an arm, over all phases or some of them; what is not known counts nothing."""
        cells = self.arms[arm]["phases"]
        return sum(cells[phase].get(figure) or 0 for phase in phases or cells if phase in cells)


def plain(text: str) -> str:
    """Without line breaks, and with ordinary spaces only."""
    return " ".join(text.replace("\u202f", " ").replace("\u00a0", " ").split())


def shown(page: str) -> str:
    """The words of a page, in their order."""
    return plain(html.unescape(re.sub(r"<[^>]*>", " ", _NOT_SHOWN.sub(" ", page))))


def _lines(path: Path) -> Iterator[Line]:
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn
        if isinstance(line, dict) and "k" in line:
            yield line


def _request(line: Line, start_ns: int) -> Request:
    ms = line.get("ms")
    return Request(
        arm=line["arm"],
        id=line["id"],
        start_ns=start_ns,
        end_ns=None if ms is None else start_ns + round(ms * 1e6),
        status=line.get("status") or 0,
        failure=line.get("failure"),
        key=line.get("key"),
    )
