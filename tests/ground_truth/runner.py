"""Where the plays are performed: `brokenpipe run`, as a user starts it, with somebody who gives the cues."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ground_truth.comparison import Tally, tally
from tests.ground_truth.scripts import HELD, MOMENTARY, Play, write_scenario
from tests.stack.runs import REPOSITORY, Run, Starter

PROJECT = Path(__file__).parent / "project"
SCENARIOS: Mapping[str, Sequence[Play]] = {"momentary": MOMENTARY, "held": HELD}
PASS, FAIL, UNKNOWN = 0, 1, 3  # exit codes of a run that was recorded to its end
EVERY_S = 0.02
READ_S = 0.3  # by then a service has read what was asked last; the load begins longer before anything counts


def performed(folder: Path) -> Tally:
    """Both scenarios, side by side: what was planted beside what was found."""
    with ExitStack() as running:
        runs: dict[str, Run] = {}
        for name, plays in SCENARIOS.items():
            (folder / name).mkdir()
            runs[name] = running.enter_context(performing(name, plays, folder / name))
        for name, run in runs.items():
            assert run.end() in {PASS, FAIL, UNKNOWN}, f"{name} did not get to its end:\n{run.out}"
    first, *others = (tally(run.folder, folder / name, SCENARIOS[name]) for name, run in runs.items())
    return sum(others, start=first)


@contextmanager
def performing(name: str, plays: Sequence[Play], folder: Path) -> Iterator[Run]:
    """The run of a scenario with these plays, in `folder`, which must exist and be empty."""
    project = _project(folder / "project")
    scenario = write_scenario(folder / f"{name}.toml", plays, project=PROJECT)
    prompter = _Prompter(folder, plays)
    with (
        Starter(folder).start("run", scenario, "--reports", folder / "reports", cwd=project) as run,
        prompter.prompting(),
    ):
        yield run


def _project(folder: Path) -> Path:
    """A folder laid out like the repository, with the service as its only target."""
    folder.mkdir()
    for part in ("scenarios", "targets"):
        (folder / part).symlink_to(PROJECT / part)
    (folder / "proxies").symlink_to(REPOSITORY / "proxies")
    return folder


@dataclass
class _Prompter:
    """Tells the services what is on next, when a phase is over and nobody begins another request."""

    folder: Path
    plays: Sequence[Play]

    @contextmanager
    def prompting(self) -> Iterator[None]:
        over = threading.Event()
        self._say(self.plays[0])
        thread = threading.Thread(target=self._follow, args=(over,), name="prompter")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _follow(self, over: threading.Event) -> None:
        said = 0
        while not over.wait(EVERY_S):
            for log in self.folder.glob("reports/*/*/experiment.ndjson"):
                ended = _phases_ended(log)
                if said < ended < len(self.plays) and not over.wait(READ_S):
                    self._say(self.plays[ended])
                    said = ended

    def _say(self, play: Play) -> None:
        new = self.folder / "cue.new"
        new.write_text(play.cue)
        new.replace(self.folder / "cue")


def _phases_ended(log: Path) -> int:
    *lines, _torn = log.read_text().split("\n")
    edges = (line for line in map(json.loads, lines) if line["k"] == "phase")
    return sum(edge["edge"] == "end" for edge in edges)
