"""Progress shown while an experiment runs: a picture that redraws itself on a terminal, lines in a log."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from brokenpipe import formatting
from brokenpipe.progress import ArmProgress, Progress, ProgressDisplay
from brokenpipe.report import labels


def describe_activity(progress: Progress) -> str:
    """Say in a few words what is going on: the phase, its fault and episode, or the message."""
    if not progress.phase:
        return labels.to_one_line(progress.message) or "starting"
    parts = [progress.phase]
    if fault := labels.strip_phase_name(progress.fault, progress.phase):
        parts.append(fault)
    if progress.episode:
        parts.append(f"episode {progress.episode} of {progress.episodes}")
    if progress.message:
        parts.append(progress.message)
    return labels.to_one_line(" · ".join(parts))


def describe_remaining_time(progress: Progress) -> str:
    """Say how much time is left; empty while nobody knows."""
    if progress.total_s <= 0:
        return ""
    return (
        formatting.plain(formatting.seconds(round(max(0.0, progress.total_s - progress.elapsed_s)))) + " left"
    )


def _bar(progress: Progress) -> RenderableType:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    bar = ProgressBar(total=progress.total_s, completed=min(progress.elapsed_s, progress.total_s))
    grid.add_row(bar, Text(describe_remaining_time(progress)))
    return grid


def _arms(arms: tuple[ArmProgress, ...]) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row("", *(Text(head, style="dim") for head in ("requests", "failed", "lately")))
    for arm in arms:
        grid.add_row(
            Text(labels.to_one_line(arm.arm)),
            f"{arm.ended:,}",
            Text(f"{arm.failed:,}", style="red" if arm.failed else "dim"),
            Text(f"+{arm.failed_lately:,}" if arm.failed_lately else "", style="bold red"),
        )
    return grid


def progress_picture(progress: Progress, spinner: Spinner | None = None) -> RenderableType:
    """Build the whole live view of one moment."""
    now = Text(describe_activity(progress), style="bold")
    parts: list[RenderableType] = [now]
    if spinner is not None:
        spinner.update(text=now)
        parts = [spinner]
    if progress.total_s > 0:
        parts.append(_bar(progress))
    if progress.arms:
        parts.append(_arms(progress.arms))
    return Group(*parts)


class LiveDisplay:
    """Redraws one picture at the bottom of a terminal, four times a second, and takes it away at the end."""

    def __init__(self, console: Console) -> None:
        self._spinner = Spinner("dots")
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start(refresh=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Take the newest state; it is drawn with the next refresh."""
        self._live.update(progress_picture(progress, self._spinner))


class LineDisplay:
    """Writes one line when a phase or a message begins, and the counts of each phase when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = Progress()
        self._before: dict[str, ArmProgress] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_phase()

    def show(self, progress: Progress) -> None:
        """Write a line if the phase, or the message between phases, is a new one."""
        last, self._last = self._last, progress
        if progress.phase != last.phase:
            self._close_phase(last)
        if progress.phase != last.phase or (progress.episode and not last.episode):
            self._before = {
                arm.arm: arm for arm in progress.arms
            }  # what came before the first episode is lead-in
        new_message = not progress.phase and progress.message != last.message
        if (progress.phase and progress.phase != last.phase) or new_message:
            first = Progress(progress.message, progress.phase, progress.fault)
            self._line(progress.elapsed_s, describe_activity(first))

    def _close_phase(self, phase: Progress | None = None) -> None:
        ended = phase or self._last
        if ended.phase and ended.arms:
            self._line(
                ended.elapsed_s,
                f"{labels.to_one_line(ended.phase)} ended: " + ", ".join(map(self._since, ended.arms)),
            )

    def _since(self, arm: ArmProgress) -> str:
        before = self._before.get(arm.arm)
        ended, failed = (before.ended, before.failed) if before else (0, 0)
        waiting = f", {arm.started - arm.ended} unanswered yet" if arm.started > arm.ended else ""
        return f"{labels.to_one_line(arm.arm)} {arm.failed - failed} of {arm.ended - ended} failed{waiting}"

    def _line(self, at_s: float, text: str) -> None:
        self._console.print(f"[{at_s:6.1f} s] {text}", markup=False, highlight=False, soft_wrap=True)


def display_for(console: Console) -> ProgressDisplay:
    """Choose the picture on a terminal, lines anywhere else."""
    return LiveDisplay(console) if console.is_terminal else LineDisplay(console)
