"""The witness: loaded into the target by its PYTHONPATH, it writes down what pool and request went through.

Two sides that never meet in one process:

    harness   this module: which environment variables load it, and where its files lie
    target    site/: `sitecustomize` and the package `brokenpipe_witness`, which import nothing of ours

What it sees, what it cannot see and what it costs: docs/witness.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

SITE = Path(__file__).parent / "site"  # goes on the target's PYTHONPATH
FOLDER_VARIABLE = "BROKENPIPE_WITNESS"  # where its files go; a process without it is left alone
ARM_VARIABLE = "BROKENPIPE_ARM"
SECRETS_VARIABLE = "BROKENPIPE_HIDDEN"  # names of variables whose values are in no text that it writes
PART_VARIABLE = "BROKENPIPE_PART"  # what its files are called besides, in an experiment that was resumed


def environment(
    arm: str, folder: Path, *, pythonpath: str = "", suffix: str = "", secrets: Iterable[str] = ()
) -> dict[str, str]:
    """The variables that load the witness into a target's Python processes.

    `folder` is where its files go, and must exist; `pythonpath` is the target's own, kept behind ours. `suffix` goes
    before `.ndjson` in the names of its files. `secrets` are names of variables whose values it keeps to itself.
    """
    return {
        "PYTHONPATH": os.pathsep.join(part for part in (str(SITE), pythonpath) if part),
        FOLDER_VARIABLE: str(folder.resolve()),
        ARM_VARIABLE: arm,
        SECRETS_VARIABLE: ",".join(sorted(secrets)),
        **({PART_VARIABLE: suffix} if suffix else {}),
    }


def files_of(folder: Path, arm: str) -> list[Path]:
    """What the witnesses of one arm have written so far: one file for each process of the target."""
    prefix, suffix = f"witness-{arm}-", ".ndjson"
    return sorted(
        path
        for path in folder.glob("witness-*.ndjson")
        if path.name.startswith(prefix) and path.name[len(prefix) : -len(suffix)].isdigit()
    )
