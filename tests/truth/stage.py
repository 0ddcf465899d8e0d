"""Where the plays are performed: `brokenpipe run`, as a user starts it, with somebody who gives the cues."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stack.runs import REPOSITORY, Run, Starter
from tests.truth.plays import READ, Play, by_phase, write_scenario

PROJECT = Path(__file__).parent / "project"
EVERY_S = 0.02  # the load begins a second before anything counts


@contextmanager
def performing(name: str, plays: Sequence[Play], folder: Path) -> Iterator[Run]:
    """The run of a scenario with these plays, in `folder`, which must exist and be empty."""
    project = _project(folder / "project")
    scenario = write_scenario(folder / f"{name}.toml", plays, project=PROJECT)
    prompter = _Prompter(folder, by_phase(plays))
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
    """Tells the services what is on, when the nemesis has turned to a phase and nobody asks anything."""

    folder: Path
    plays: Mapping[str, Play]

    @contextmanager
    def prompting(self) -> Iterator[None]:
        over = threading.Event()
        self._say(Play("before", "", (READ,)))
        thread = threading.Thread(target=self._follow, args=(over,), name="prompter")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _follow(self, over: threading.Event) -> None:
        said = ""
        while not over.wait(EVERY_S):
            for log in self.folder.glob("reports/*/*/nemesis.ndjson"):
                phase = _last_phase(log)
                if phase != said and phase in self.plays:
                    self._say(self.plays[phase])
                    said = phase

    def _say(self, play: Play) -> None:
        new = self.folder / "cue.new"
        new.write_text(play.cue)
        new.replace(self.folder / "cue")


def _last_phase(log: Path) -> str:
    """The phase of the nemesis's last act."""
    *lines, _torn = log.read_text().split("\n")
    acts = (json.loads(line) for line in reversed(lines))
    return next((str(act["phase"]) for act in acts if "phase" in act), "")
