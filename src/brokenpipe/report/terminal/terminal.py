"""What the terminal shows at the end. Renderables only: the command line prints them.

Colour only repeats what a word or a mark says, and no line is wider than the console, so the same output
serves a terminal, NO_COLOR and the log of a CI job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brokenpipe import formatting
from brokenpipe.measure.model.arm_phase import ArmPhaseStats
from brokenpipe.measure.model.findings import Findings
from brokenpipe.measure.model.validity import ValidityWarning
from brokenpipe.measure.model.verdict import Verdict
from brokenpipe.report import texts
from brokenpipe.report.run import headline_sentences, ledger, memory, request_time, table

STYLE = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow"}

# Heading and width of each column after the arm's: 62 in all, which leaves 16 of 80 for the arm.
_COLUMNS = (
    ("broken", 8),
    ("95 % interval", 15),
    ("stale", 7),
    ("in use", 8),
    ("other", 7),
    ("masked", 8),
    ("p95", 9),
)
# Where anything failed of which the cause, or the connection, is not known: 65, and 13 for the arm.
_UNKNOWN_COLUMN = (
    ("broken", 8),
    ("95 % interval", 14),
    ("stale", 6),
    ("in use", 7),
    ("other", 6),
    ("unknown", 8),
    ("masked", 7),
    ("p95", 9),
)
_LEGEND = "unknown: failed, and why, or on which connection, nobody saw; – is not known, never 0"


_INDENT = (0, 0, 0, 2)


def _title(name: str, detail: str) -> Text:
    return Text.assemble(
        (texts.to_one_line(name), "bold"), (f" · {texts.to_one_line(detail)}" if detail else "", "dim")
    )


def _columns(findings: Findings) -> tuple[tuple[str, int], ...]:
    return _UNKNOWN_COLUMN if any(map(table.count_undetermined, findings.cells.values())) else _COLUMNS


def _cell_numbers(place: table.TableCell) -> Mapping[str, str]:
    """Write one place of the table: a text for each column."""
    cell = place.cell
    if cell is None or cell.requests == 0:
        return {"broken": formatting.NOTHING, "95 % interval": place.broke}
    return {
        "broken": formatting.percent(cell.broken_pipe_rate),
        "95 % interval": formatting.percent_interval(cell.ci95),
        "stale": formatting.count(cell.stale if cell.states_known else None),
        "in use": formatting.count(cell.in_use if cell.states_known else None),
        "other": formatting.count(cell.otherwise),
        "unknown": formatting.count(table.count_undetermined(cell)),
        "masked": formatting.count(cell.masked.total if cell.masked else None),
        "p95": formatting.milliseconds(cell.latency_ms.p95),
    }


def _named_row(row: table.ArmRow) -> str:
    flags = [said for flag, said in ((row.is_control, "control"), (row.is_best, "best")) if flag]
    return texts.to_one_line(row.arm) + (f" ({', '.join(flags)})" if flags else "")


def _grid(arm_width: int, columns: tuple[tuple[str, int], ...]) -> Table:
    grid = Table.grid()
    grid.add_column(width=arm_width, overflow="fold")
    for _, width in columns:
        grid.add_column(width=width, justify="right", overflow="fold")
    return grid


def _line(row: table.ArmRow, place: table.TableCell, columns: tuple[tuple[str, int], ...]) -> list[Text]:
    broken = place.cell is not None and place.cell.broken > 0
    said = _cell_numbers(place)
    values = [Text(formatting.plain(said.get(name, ""))) for name, _ in columns]
    values[0].stylize("bold red" if broken else "bold" if place.bar else "dim")
    return [Text(_named_row(row)), *values]


def _table(findings: Findings, width: int) -> Iterator[RenderableType]:
    """Build the table arms × phases: a block for each phase, a line for each arm."""
    rows = table.arm_rows(findings)
    columns = _columns(findings)
    room = width - 2 - sum(each for _, each in columns)
    arm_width = max(min(room, max((len(_named_row(row)) for row in rows), default=0) + 2), 12)
    heads = _grid(arm_width, columns)
    heads.add_row("", *(Text(name, style="dim") for name, _ in columns))
    yield Padding(heads, _INDENT)
    for index, phase in enumerate(findings.phases):
        yield _title(phase.name, texts.describe_fault(phase))
        if renewed := texts.describe_renewals(phase):
            yield Padding(Text(renewed, style="dim"), _INDENT)
        block = _grid(arm_width, columns)
        for row in rows:
            block.add_row(*_line(row, row.places[index], columns))
        yield Padding(block, _INDENT)
        for row in rows:
            if said := row.places[index].waits:
                yield Padding(
                    Text(formatting.plain(f"{texts.to_one_line(row.arm)}: {said}"), style="yellow"),
                    (0, 0, 0, 4),
                )
        rests = (_first_use_lines(row.arm, row.places[index].cell) for row in rows)
        yield from (Padding(each, _INDENT) for each in rests if each is not None)
    if columns is _UNKNOWN_COLUMN:
        yield Padding(Text(_LEGEND, style="dim"), _INDENT)


def _first_use_lines(arm: str, cell: ArmPhaseStats | None) -> Text | None:
    """Say what is known of connections that ended at their first use; None if none did."""
    if cell is None or not cell.after_rest:
        return None
    first = f"{texts.to_one_line(arm)}: {cell.after_rest:,} broken at {texts.describe_first_use(cell.rest_s)}"
    return Text(formatting.plain(f"{first}; whether it was dead before cannot be determined"), style="dim")


def _costs(findings: Findings) -> Iterator[RenderableType]:
    """Say what each arm costs where nothing is broken, a line for each arm."""
    known = [(row, row.cost) for row in table.arm_rows(findings) if row.cost is not None]
    if not known:
        return
    phase = known[0][1].phase
    alone = ", one arm at a time" if phase in findings.isolated else ""
    yield _title("cost", f"median request in {phase}{alone}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    for row, cost in known:
        median = formatting.milliseconds(cost.median_ms)
        interval = f" ({cost.interval})" if cost.interval else ""
        first = median if cost.added_ms is None else formatting.added_ms(cost.added_ms) + interval
        grid.add_row(
            Text(_named_row(row)),
            Text(formatting.plain(first)),
            Text(formatting.plain(", ".join(cost.details))),
        )
    yield Padding(grid, _INDENT)


def _times(findings: Findings) -> Iterator[RenderableType]:
    """Say where the time of requests went in the first phase without a fault, a line for each arm."""
    calm = next((phase.name for phase in findings.phases if not phase.fault), None)
    known = {
        arm: findings.times[arm, calm] for arm in findings.arms if calm and (arm, calm) in findings.times
    }
    if not known:
        return
    yield _title("time", f"of a mean request in {calm}, inside the service")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for arm, time in known.items():
        grid.add_row(Text(texts.to_one_line(arm)), Text(formatting.plain(request_time.time_line(time))))
    yield Padding(grid, _INDENT)


def _hanging_block(label: str, style: str, *lines: Text) -> Table:
    """Set lines beside a label, so that what wraps stays under its own beginning."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=10)
    grid.add_column(overflow="fold")
    for number, line in enumerate(lines):
        grid.add_row(Text("" if number else label, style=style), line)
    return grid


def _checks(findings: Findings) -> Iterator[RenderableType]:
    """List what did not pass, and count what did. A doubt about the whole run leaves nothing to list."""
    if findings.baseline:
        yield Text(texts.to_one_line(f"compared with {findings.baseline}"), style="dim")
    if any(warning.unknown and not warning.phase and not warning.arm for warning in findings.warnings):
        yield from _list_checks(findings, Verdict.FAIL)
        open_ = sum(check.verdict is not Verdict.FAIL for check in findings.checks)
        held = (
            f"{formatting.plural(open_, 'check')} undecided"
            if findings.checks
            else texts.describe_checks(findings)
        )
        if open_ or not findings.checks:
            yield _hanging_block(
                _label(Verdict.UNKNOWN), STYLE[Verdict.UNKNOWN], Text(f"{held}: see the doubt below")
            )
        return
    yield from _list_checks(findings, Verdict.FAIL)
    yield from _list_checks(findings, Verdict.UNKNOWN)
    passed = sum(check.verdict is Verdict.PASS for check in findings.checks)
    if passed:
        yield Text(f"{texts.MARK[Verdict.PASS]} {formatting.plural(passed, 'check')} passed", style="green")


def _witness(findings: Findings) -> Iterator[RenderableType]:
    """Say of which arms the witness did not see everything, and what; nothing if it did everywhere."""
    if all(texts.describe_missing_coverage(findings, arm) == "" for arm in findings.arms):
        return
    for said, arms in texts.describe_coverage(findings):
        yield _hanging_block("witness", "dim", Text(texts.to_one_line(f"{', '.join(arms)}: {said}")))


def _list_checks(findings: Findings, verdict: Verdict) -> Iterator[RenderableType]:
    for check in findings.checks:
        if check.verdict is verdict:
            yield _hanging_block(_label(verdict), STYLE[verdict], Text(texts.to_one_line(check.text)))


def _label(verdict: Verdict) -> str:
    return f"{texts.MARK[verdict]} {verdict.value.upper()}"


def _ledger(findings: Findings) -> Iterator[RenderableType]:
    """Say of each arm what is wrong with its writes; nothing if nothing is."""
    for arm, books in findings.ledger.items():
        wrong = ledger.describe_wrong_writes(books)
        if wrong:
            style = "red" if books.total.lost else "yellow"
            yield _hanging_block("writes", style, Text(texts.to_one_line(f"{arm}: {wrong}")))


def _sentences(findings: Findings) -> Group:
    """The sentence of the verdict, and the evidence below it."""
    more = (
        Text(texts.to_one_line(said), style="dim") for said in headline_sentences.headline_sentences(findings)
    )
    return Group(Text(texts.to_one_line(findings.sentence)), *more)


def _warning(warning: ValidityWarning, likewise: str) -> Table:
    where = texts.warning_scope(warning)
    text = f"{warning.text}; {likewise}" if likewise else warning.text
    said = Text(texts.to_one_line(f"{where}: {text}" if where else text))
    remedy = Text(f"→ {texts.to_one_line(warning.remedy)}", style="dim")
    return _hanging_block("! in doubt" if warning.unknown else "! note", "yellow", said, remedy)


def closing_line(findings: Findings, report: Path) -> Text:
    """Build the last line: the verdict, and where the report is. Never wrapped, so that it can be copied."""
    verdict = findings.verdict
    text = Text(no_wrap=True, overflow="ignore")
    text.append(f"{texts.MARK[verdict]} {verdict.value.upper()}", style=f"bold {STYLE[verdict]}")
    return text.append(f"  {report}")


def result_lines(findings: Findings, report: Path, console: Console) -> RenderableType:
    """Build everything shown after an experiment; its last line is the verdict and the report's path.

    Print it with `crop=False`: that line must stay whole, however narrow the console is.
    """
    parts: list[RenderableType] = [Text(texts.to_one_line(findings.question), style="bold")]
    if findings.phases:
        parts.extend(_table(findings, console.width))
        parts.extend(_costs(findings))
        parts.extend(_times(findings))
        parts.append(Text())
    else:
        parts.append(Text("No phase was reached: there is nothing to tabulate."))
    parts.extend(_witness(findings))
    parts.extend(_ledger(findings))
    parts.extend(_checks(findings))
    parts.extend(_warning(*each) for each in texts.group_equal_warnings(findings.warnings))
    if texts.describe_early_end(findings):
        parts.append(Text(texts.to_one_line(texts.describe_early_end(findings)), style="yellow"))
    if grown := memory.describe_memory(findings):
        said = f"{' · '.join(grown)}, five minutes after the begin and at the end"
        parts.append(_hanging_block("memory", "dim", Text(formatting.plain(said), style="dim")))
    parts.append(Padding(_sentences(findings), (1, 0)))
    parts.append(closing_line(findings, report))
    return Group(*parts)
