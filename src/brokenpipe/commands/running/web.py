"""`run --web`: Locust's web UI until Ctrl-C, with a report for each of its runs."""

from __future__ import annotations

from pathlib import Path

from brokenpipe.commands import console
from brokenpipe.commands.signals import EXIT_UNKNOWN, InterruptHandler
from brokenpipe.errors import BrokenpipeError, UsageError
from brokenpipe.plan.plan import Plan, Sources
from brokenpipe.plan.project import Project

DEFAULT_PORT = 8089  # Locust's own


def run_web(
    plan: Plan, sources: Sources, project: Project, reports: Path, port: int | None, engine: str | None = None
) -> int:
    """Serve the pages until Ctrl-C or SIGTERM; every run is reported before the end. Returns the exit code."""
    from brokenpipe.drive.interactive.web_session import WebSessionConfig, serve_web_session
    from brokenpipe.drive.run_folder import command_line
    from brokenpipe.drive.run_session import Terminated
    from brokenpipe.measure.live import LiveReader
    from brokenpipe.report.web.page import web_page

    interrupts, code = InterruptHandler(Terminated, on_terminal=console.out.is_terminal), EXIT_UNKNOWN
    config = WebSessionConfig(
        plan=plan,
        sources=sources,
        project=project,
        reports=reports,
        command=command_line(),
        port=_port(port),
        page=web_page(plan),
        live_source=LiveReader,
        on_message=_print,
        engine=engine,
    )
    _print(f"starting {config.url}, with Locust's web UI; Ctrl-C ends it")
    try:
        with console.converting_shortages():
            serve_web_session(config)
    except BrokenpipeError as error:
        interrupts.finishing = True
        console.print_error(error)
        code = error.exit_code
    except (Terminated, KeyboardInterrupt):
        interrupts.finishing = True
    return code if interrupts.exit_code is None else interrupts.exit_code


def _port(requested: int | None) -> int:
    """Locust's default port if it is free, else any. Raises UsageError if the requested port is taken."""
    from brokenpipe.stack.processes.ports import free_port, is_taken

    if requested is None:
        return free_port() if is_taken(DEFAULT_PORT) else DEFAULT_PORT
    if is_taken(requested):
        raise UsageError(
            f"--web-port {requested}: another program listens on that port of 127.0.0.1",
            remedy="Name another one, or leave --web-port out: a free one is found then.",
        )
    return requested


def _print(text: str) -> None:
    console.out.print(text, soft_wrap=True)
