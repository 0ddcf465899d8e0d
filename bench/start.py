"""Whole runs as a user types them: until the first phase, from the last to the exit, what the instrument takes.

With BROKENPIPE_BENCH_AGAINST=FOLDER, another checkout with its own .venv, every turn plays both, one after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

import psutil

TURNS = 5
LOOK_EVERY_S = 0.05
HERE = Path(__file__).parents[1]
SCENARIOS = ("quick", "default")
WORDS = {
    "first_phase_s": "command to the first phase",
    "exit_s": "end of the last phase to exit",
    "wall_s": "whole run",
    "processor_s": "processor time of the run's own process",
    "memory_mb": "peak memory of it, Locust and Toxiproxy",
    "with_report_mb": "the same with the process of the report",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run took."""

    first_phase_s: float
    exit_s: float
    wall_s: float
    processor_s: float
    memory_mb: float
    with_report_mb: float


def rows(turns: int = TURNS) -> Iterator[str]:
    """A line for each figure of each scenario: median and spread, before them those of the other checkout."""
    other = os.environ.get("BROKENPIPE_BENCH_AGAINST")
    checkouts = [Path(other), HERE] if other else [HERE]
    for scenario in SCENARIOS:
        taken: dict[Path, list[Figures]] = {checkout: [] for checkout in checkouts}
        for turn in range(turns):
            for checkout in checkouts[:: -1 if turn % 2 else 1]:
                taken[checkout].append(_run(checkout, scenario))
        for field in fields(Figures):
            yield _row(f"{scenario}, {WORDS[field.name]}", field.name, taken, turns)


def _row(title: str, name: str, taken: Mapping[Path, Sequence[Figures]], turns: int) -> str:
    unit = name.rsplit("_", 1)[1].upper() if name.endswith("mb") else "s"
    columns = [[getattr(each, name) for each in column] for column in taken.values()]
    said = [f"{median(column):.1f} ({min(column):.1f}–{max(column):.1f}) {unit}" for column in columns]
    if len(columns) == 1:
        return f"{title}: {said[0]}, {turns} turns"
    ratios = [after / before for before, after in zip(*columns, strict=True)]
    spread = f"{median(ratios):.2f} times ({min(ratios):.2f}–{max(ratios):.2f})"
    return f"{title}: {said[1]} against {said[0]}, {spread}, {turns} turns"


def _run(checkout: Path, scenario: str) -> Figures:
    with tempfile.TemporaryDirectory(prefix="brokenpipe-bench-") as reports:
        began = time.monotonic()
        command = [str(checkout / ".venv/bin/brokenpipe"), "run", scenario, "--reports", reports]
        with psutil.Popen(command, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            processor_s, memory, with_report = _watch(run)
        over = time.monotonic()
        begin, end = _phases(Path(reports) / scenario / "latest" / "experiment.ndjson")
    return Figures(begin - began, over - end, over - began, processor_s, memory / 1e6, with_report / 1e6)


def _watch(run: psutil.Popen) -> tuple[float, int, int]:
    """Processor time and peak memory in bytes, without and with the process of the report."""
    processor_s, memory, with_report = 0.0, 0, 0
    while run.poll() is None:
        with suppress(psutil.Error):
            used = run.cpu_times()
            processor_s = used.user + used.system
            own, report = _memory(run)
            memory, with_report = max(memory, own), max(with_report, own + report)
        time.sleep(LOOK_EVERY_S)
    return processor_s, memory, with_report


def _memory(run: psutil.Popen) -> tuple[int, int]:
    own, report = run.memory_info().rss, 0
    for child in run.children():
        with suppress(psutil.Error):
            command, rss = " ".join(child.cmdline()), child.memory_info().rss
            if "prepared_report" in command:
                report += rss
            elif "locust" in command or "toxiproxy-" in command:
                own += rss
    return own, report


def _phases(experiment: Path) -> tuple[float, float]:
    """When the first phase began and the last one ended, on the monotonic clock that all processes share."""
    edges = [
        record for line in experiment.open() if (record := json.loads(line)).get("edge") in {"begin", "end"}
    ]
    if not edges:
        raise RuntimeError(f"no phase was played: {experiment}")
    return edges[0]["t"] / 1e9, edges[-1]["t"] / 1e9
