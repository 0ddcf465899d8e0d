"""`brokenpipe run quick --baseline`: do reruns without any change fail, and does a planted regression?

    python tests/stack/gate_reruns.py --runs 10 --planted 3

The first run is the baseline. The regression that is planted: pre-ping removed from the arm `pre_ping`. A machine that
others keep busy makes gates unknown; what their figures alone would have said is counted, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run by hand, only this folder is on the path

from tests.stack.runs import BROKENPIPE, REPOSITORY

VERDICTS = {0: "pass", 1: "fail", 3: "unknown"}
PRE_PING = 'pre_ping = { DB_POOL_PRE_PING = "true" }'


@dataclass(frozen=True)
class Gate:
    """One run held against the baseline: its verdict, the checks that are worse by their figures, the doubts."""

    verdict: str
    worse: tuple[str, ...]
    doubts: tuple[str, ...]

    def __str__(self) -> str:
        worse = ", ".join(self.worse) or "nothing"
        return f"{self.verdict:7}  worse by its figures: {worse}" + "".join(
            f"; {doubt}" for doubt in self.doubts
        )


def run(scenario: Path, reports: Path, *options: str) -> tuple[int, Path]:
    """One experiment: its exit code and its folder."""
    done = subprocess.run(
        [*BROKENPIPE, "run", str(scenario), "--reports", str(reports), *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in VERDICTS:
        sys.exit(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.returncode, (reports / scenario.stem / "latest").resolve()


def gates(scenario: Path, reports: Path, baseline: Path, count: int) -> Iterator[Gate]:
    """So many runs, one after the other."""
    for _ in range(count):
        code, folder = run(scenario, reports, "--baseline", str(baseline))
        found = json.loads((folder / "summary.json").read_text())
        worse = [
            f"{check['arm']} {check['phase']} {check['metric']}"
            for check in found["checks"]
            if (check["against"] or {}).get("p") is not None and check["against"]["p"] <= 0.05
        ]
        doubts = [warning["text"] for warning in found["warnings"] if warning["unknown"]]
        yield Gate(VERDICTS[code], tuple(worse), tuple(doubts))


def planted(folder: Path) -> Path:
    """The scenario `quick` in which somebody has removed pre-ping."""
    text = (REPOSITORY / "scenarios/quick.toml").read_text()
    assert PRE_PING in text
    locustfile = REPOSITORY / "scenarios" / "locustfile.py"
    text = text.replace(PRE_PING, "pre_ping = {}").replace(
        "[load]\n", f'[load]\nlocustfile = "{locustfile}"\n'
    )
    path = folder / "planted.toml"
    path.write_text(text)
    return path


def counted(name: str, found: Iterator[Gate]) -> list[Gate]:
    """Print each, and how often each verdict came."""
    every = []
    for gate in found:
        every.append(gate)
        print(f"{name} {len(every):2}: {gate}", flush=True)
    by = Counter(gate.verdict for gate in every)
    worse = sum(bool(gate.worse) for gate in every)
    said = ", ".join(f"{by[verdict]} {verdict}" for verdict in VERDICTS.values())
    print(f"{name}: {said}; worse by their figures: {worse} of {len(every)}", flush=True)
    return every


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--planted", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gate-reruns-") as name:
        folder = Path(name)
        quick = REPOSITORY / "scenarios/quick.toml"
        _, baseline = run(quick, folder / "baseline")
        same = counted("unchanged", gates(quick, folder / "reports", baseline, asked.runs))
        worse = counted("planted", gates(planted(folder), folder / "reports", baseline, asked.planted))
    sys.exit(any(gate.worse for gate in same) or not all(gate.worse for gate in worse))


if __name__ == "__main__":
    main()
