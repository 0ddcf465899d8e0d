"""`worker`: runs some of the users of a run on another machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from brokenpipe.commands import console
from brokenpipe.commands.options import parse_address

app = typer.Typer()


@app.command(epilog="Example: brokenpipe worker --master 192.168.1.5:5557")
def worker(
    master: Annotated[str, typer.Option(metavar="HOST:PORT", help="What `run` was given as --master-bind.")],
) -> None:
    """Carry some of the users of a run on another machine, until it is over (docs/distributed.md)."""
    from brokenpipe.drive.locust.worker_process import worker_argv, worker_environment
    from brokenpipe.stack.processes.process import clean_environment

    with console.exiting_on_errors():
        host, port = parse_address(master, "--master")
        console.out.print(f"joining {host}:{port}; Ctrl-C leaves, and the run will doubt itself")
        command = worker_argv(host, port)
        os.execve(command[0], command, clean_environment(worker_environment(host, port)))  # noqa: S606
