"""The entry point: handles Ctrl-C, SIGTERM and a lack of memory before anything else is imported.

`python -m brokenpipe` and `brokenpipe` both begin here.
"""

from __future__ import annotations

import gc
import os

from brokenpipe.commands.signals import exit_on_signals
from brokenpipe.shortages import exit_if_short


def main() -> None:
    """Import the commands, and run the one that was typed."""
    exit_on_signals()
    gc.set_threshold(10_000)  # imports make 100,000 objects that stay: looked through eighty times less
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # each thread takes address space, and none is of use here
    with exit_if_short():
        from brokenpipe.cli import main as run_command

        run_command()


if __name__ == "__main__":
    main()
