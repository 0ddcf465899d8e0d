"""The witness: a package that PYTHONPATH loads into the target, and that records its requests and pools.

Two sides that never meet in one process:

    harness   this module: which environment variables load it, and where its files lie
    target    site/: `sitecustomize` and the package `brokenpipe_witness`, which import nothing of ours

Its coverage, limits and cost: docs/witness.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

SITE = Path(__file__).parent / "site"  # goes on the target's PYTHONPATH
FOLDER_VARIABLE = "BROKENPIPE_WITNESS"  # where its files go; a process without it is left alone
ARM_VARIABLE = "BROKENPIPE_ARM"
SECRETS_VARIABLE = "BROKENPIPE_HIDDEN"  # names of variables whose values it removes from its texts
PART_VARIABLE = "BROKENPIPE_PART"  # a suffix of its files' names, in an experiment that was resumed


def environment(
    arm: str, folder: Path, *, pythonpath: str = "", suffix: str = "", secrets: Iterable[str] = ()
) -> dict[str, str]:
    """The variables that load the witness into a target's Python processes.

    `folder` is where its files go, and must exist; `pythonpath` is the target's own, kept behind ours. `suffix` goes
    before `.ndjson` in the names of its files. `secrets` are names of variables whose values are removed from texts.
    """
    return {
        "PYTHONPATH": os.pathsep.join(part for part in (str(SITE), pythonpath) if part),
        FOLDER_VARIABLE: str(folder.resolve()),
        ARM_VARIABLE: arm,
        SECRETS_VARIABLE: ",".join(sorted(secrets)),
        **({PART_VARIABLE: suffix} if suffix else {}),
    }


def files_of(folder: Path, arm: str) -> list[Path]:
    """The files of one arm's witnesses so far: one for each process of the target."""
    prefix, suffix = f"witness-{arm}-", ".ndjson"
    return sorted(
        path
        for path in folder.glob("witness-*.ndjson")
        if path.name.startswith(prefix) and path.name[len(prefix) : -len(suffix)].isdigit()
    )
