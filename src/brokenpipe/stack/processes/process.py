"""A child process with a session, a capped log and an end of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from brokenpipe.errors import StackError
from brokenpipe.redaction import REDACTED
from brokenpipe.stack.processes.janitor import RUN_VARIABLE, Janitor
from brokenpipe.stack.processes.process_tree import (
    freeze,
    kill,
    kill_all,
    resume,
    survivors,
    thaw,
    with_descendants,
)

ORPHAN_TIMEOUT_S = 0.5  # for children to end by themselves
LOG_CAP_BYTES = 4_000_000  # one stale connection prints 130 lines of traceback; a soak meets thousands


@dataclass(frozen=True, slots=True)
class Child:
    """A running child. `name` is what people call it, `log_path` is where its output goes."""

    name: str
    log_path: Path
    popen: subprocess.Popen[bytes]
    pump: threading.Thread | None = None  # copies its output to the log

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    @property
    def exit_text(self) -> str:
        """A short text about its end: signal or exit code."""
        code = self.popen.poll()
        if code is None:
            return "no end"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def last_lines(self, count: int = 12) -> tuple[str, ...]:
        """The end of its log, for an error message: all of it, if it has ended."""
        if self.pump and not self.running:
            self.pump.join(timeout=1.0)  # a grandchild may hold the pipe open
        with suppress(OSError):
            return tuple(self.log_path.read_text(errors="replace").splitlines()[-count:])
        return ()

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        self.popen.send_signal(number)

    def freeze(self) -> None:
        """Pause it and every process below it. Raises StackError if one goes on."""
        freeze(self.pid)

    def thaw(self) -> None:
        """Resume all of them."""
        thaw(self.pid)

    def kill(self) -> None:
        """End it and every process below it, none of which gets to do anything about it."""
        kill(self.pid)

    def stop(self, signal_number: int, timeout_s: float) -> None:
        """Request its end by a signal, then kill it, with all that it has started.

        Stopped processes are resumed: they would not handle the signal. Processes that outlive their parent are killed.
        """
        if not self.running:  # its number may be another's by now
            return
        processes = with_descendants(self.pid)
        self.signal(signal_number)
        resume(processes)
        try:
            self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            kill_all(processes := [*processes, *with_descendants(self.pid)])
            self.signal(signal.SIGKILL)  # of a container, only the engine may
            self.popen.wait()
        kill_all(survivors(processes, ORPHAN_TIMEOUT_S))


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment: what a program needs to run at all, and nothing else of the shell's."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ} | dict(extra or {})


@contextmanager
def child(
    name: str,
    argv: Sequence[str],
    *,
    log_path: Path,
    janitor: Janitor,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    stop_signal: int = signal.SIGTERM,
    stop_timeout_s: float = 3.0,
    undo_signal: int = signal.SIGKILL,
    secrets: Sequence[str] = (),
) -> Iterator[Child]:
    """Run `argv` for as long as the block lasts.

    `env` is the whole environment (default: `clean_environment()`); `secrets` are kept out of its log. `stop_signal`
    ends it at the end of the block; the janitor uses `undo_signal` if the harness dies first. The child leads a session
    of its own, so a Ctrl-C in the terminal reaches the harness only, which decides the order in which parts end.

    Raises StackError when the program cannot be started.
    """
    environment = dict(clean_environment() if env is None else env) | {RUN_VARIABLE: janitor.run_id}
    popen = _popen(name, argv, environment, cwd, pass_fds)
    assert popen.stdout is not None
    pump = threading.Thread(
        target=_copy_output, args=(popen.stdout, log_path, secrets), name=f"log of {name}", daemon=True
    )
    running = Child(name, log_path, popen, pump)
    try:
        pump.start()
        janitor.register_process(popen.pid, undo_signal)
        yield running
    finally:
        running.stop(stop_signal, stop_timeout_s)
        # A grandchild may hold the pipe open longer than the child lived; the janitor ends that one.
        pump.join(timeout=1.0)


def _popen(
    name: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            env=environment,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise StackError(
            f"{name}: {argv[0]} cannot be started: {error.strerror}",
            remedy="Check that the program exists and may be executed.",
        ) from error


def _copy_output(source: IO[bytes], log_path: Path, secrets: Sequence[str] = ()) -> None:
    """Copy output to the log until the child ends, whatever becomes of the log; without secrets.

    A child whose output is not read would block on it, and one that writes into a closed pipe would die of it.
    """
    with source, ExitStack() as logs:
        log = None
        with suppress(OSError):
            log = logs.enter_context(log_path.open("ab", buffering=0))
        remaining = LOG_CAP_BYTES
        for chunk in without_secrets(iter(partial(os.read, source.fileno(), 65_536), b""), secrets):
            if log is None or remaining <= 0:
                continue
            with suppress(OSError):  # the disk is full: the history says so, the child must not notice
                log.write(chunk[:remaining])
                remaining -= len(chunk)
                if remaining <= 0:
                    log.write(f"\n… log capped at {LOG_CAP_BYTES:,} bytes\n".encode())


def without_secrets(chunks: Iterator[bytes], secrets: Sequence[str]) -> Iterator[bytes]:
    """The output with each secret replaced, also one that is split between two reads."""
    encoded = [secret.encode() for secret in secrets]
    pending = b""  # the end of the last read, if a secret could begin with it
    for chunk in chunks:
        text = pending + chunk
        for secret in encoded:
            text = text.replace(secret, REDACTED.encode())
        pending = next(
            (text[-n:] for n in _suffix_lengths(text, encoded) if _starts_secret(text[-n:], encoded)), b""
        )
        yield text[: len(text) - len(pending)]
    if pending:
        yield pending


def _suffix_lengths(text: bytes, secrets: Sequence[bytes]) -> range:
    longest = max((len(secret) for secret in secrets), default=1)
    return range(min(longest - 1, len(text)), 0, -1)


def _starts_secret(end: bytes, secrets: Sequence[bytes]) -> bool:
    return any(secret.startswith(end) for secret in secrets)
