"""docs/reliability.md: what was done to the instrument, what came of it, and what was left."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.sabotage.judge import AMBIENT, Wrong
from tests.sabotage.results import Book, Result, name
from tests.sabotage.table import TABLE

HEAD = """# When the instrument fails

A verdict rests on many processes: Locust, Toxiproxy, Postgres, the services, the harness itself. Any of them can be
killed, stopped, or run out of something while a run goes on. Then there must be no pass, no arm may be accused, the run
has to end, and nothing may be left behind.

`make sabotage` does that to each part in turn, in real runs of two arms that are the same and have nothing wrong
(`tests/sabotage`): undisturbed, they pass. A part is killed (SIGKILL), stopped (SIGSTOP) for good or for 2.5 s, or
its limit of descriptors or memory is set to what it has (`prlimit`); a disk of the run's own is filled, a file of
the history removed, a clock moved. The moments: while the run starts; in a phase without a fault, which expects no
failure; in the pause before a phase whose fault breaks idle connections; when the last phase is over. What a
service does without descriptors or memory is its own result, and not in the table. A harness that was stopped is
killed after 8 s: nothing else could end it.

"""

READING = """
*Verdict*: of the run, or how it ended if it did not get to one. *Named by*: the doubts for which the verdict is
unknown, besides how busy the machine was. *Beyond the plan*: seconds more than an undisturbed run; negative if it
ended early. *Left*: processes, listeners, shared memory and temporary files 5 s after the end.

| part | what was done | when | verdict | named by | beyond the plan | left | wrong |
|---|---|---|---|---|---:|---:|---|
"""
SHOTS = """
## At random moments

A signal at a moment drawn by chance: of the harness spread over a whole run, of its children over as long as a run
plays, from their start on. *Ended*: from the signal to the end of the run. *Clean*: from there (of the harness: from
the signal) until no process, listener, shared memory or temporary file was left. A pass counts as wrong unless the
load was over, or the janitor was hit: the harness replaces it, or ends.

| signal | how often | exit codes | ended: median, longest | clean: median, longest | left | wrong |
|---|---:|---|---|---|---:|---|
"""


def page(book: Book) -> str:
    """The whole page, as Markdown."""
    results = book.results()
    shots = [shot for shot in book.all("shot") if shot["hit"]]
    lines = [HEAD + _summary(results), READING.rstrip("\n"), *_rows(results)]
    if shots:
        lines += [SHOTS.rstrip("\n"), *_shot_rows(shots)]
    return "\n".join(lines) + "\n"


def _summary(results: Mapping[str, Result]) -> str:
    tried = [found for found in results.values() if not found.missed]
    counts = {wrong: sum(wrong in found.wrongs for found in tried) for wrong in Wrong}
    dates = sorted({found.date for found in tried}) or ["never"]
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    not_tried = len(TABLE) - len(tried)
    return f"""**{len(tried)} of {len(TABLE)} cells tried ({not_tried} not): {counts[Wrong.PASS]} wrong passes, \
{counts[Wrong.ACCUSATION]} wrong accusations of an arm, {counts[Wrong.HANG]} hangs (more than 20 s beyond the plan), \
{counts[Wrong.LEFT]} with leftovers, {counts[Wrong.UNNAMED]} unknown without the doubt that names the cause, \
{counts[Wrong.EXIT]} with another exit code, {counts[Wrong.TRACEBACK]} tracebacks.**

Of {when}: Python {platform.python_version()}, {platform.system()} on {platform.machine()}. On a busy
machine a run takes some seconds more than an undisturbed one for no other reason."""


def _rows(results: Mapping[str, Result]) -> Iterator[str]:
    for line in TABLE:
        found = results.get(name(line))
        columns = zip(*((cell.part, cell.act, cell.moment) for cell in line), strict=True)
        where = [" + ".join(dict.fromkeys(column)) for column in columns]
        if found is None or found.missed:
            what = "not tried" if found is None else "came too late"
            yield f"| {' | '.join(where)} | {what} | | | | |"
        else:
            yield f"| {' | '.join(where)} | {_came(found)} |"


def _came(found: Result) -> str:
    named = ", ".join(f"`{code}`" for code in found.codes if code not in AMBIENT)
    wrong = f"**{', '.join(found.wrongs)}**" if found.wrongs else ""
    return f"{_verdict(found)} | {named} | {found.beyond_s:+.0f} s | {len(found.left) or ''} | {wrong}"


def _verdict(found: Result) -> str:
    if found.exit_code is None:
        return "no end"
    if found.exit_code < 0:
        return f"killed; {found.verdict}" if found.verdict else "killed before it had recorded anything"
    if found.exit_code == 4:
        return "ended, exit code 4"
    if found.verdict == "unknown" and not set(found.codes) - AMBIENT:
        return "pass but for the busy machine" if found.codes else "unknown"
    return found.verdict or f"ended, exit code {found.exit_code}"


def _shot_rows(shots: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for aim in dict.fromkeys(shot["aim"] for shot in shots):
        each = [shot for shot in shots if shot["aim"] == aim]
        codes = ", ".join(str(code) for code in sorted({shot["exit_code"] for shot in each}, key=str))
        wrong = sorted({wrong for shot in each for wrong in shot["wrongs"]})
        left = sum(bool(shot["left"]) for shot in each) or ""
        yield (
            f"| {aim} | {len(each)} | {codes} | {_spread(each, 'ended_s')} | {_spread(each, 'clean_s')} | {left} "
            f"| {', '.join(wrong)} |"
        )


def _spread(shots: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [shot[key] for shot in shots]
    return f"{statistics.median(values):.1f} s, {max(values):.1f} s"
