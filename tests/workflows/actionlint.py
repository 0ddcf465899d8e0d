"""actionlint, built from its Go module once, with the Go that builds the proxy, and kept beside that.

`python -m tests.workflows.actionlint` builds it ahead of the tests, where nothing else wants the processor.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.workflows.steps import REPOSITORY

from brokenpipe.stack.proxy.toolchain import BUILD_FLAGS, find_go

VERSION = "v1.7.7"
PROXIES = REPOSITORY / "proxies"


def built_actionlint() -> Path:
    """The program, built now if that has not happened yet. Raises CalledProcessError, ToolchainError."""
    folder = PROXIES / ".build" / f"actionlint-{VERSION}"
    program = folder / "actionlint"
    if not program.exists():
        go = find_go(PROXIES)
        subprocess.run(
            [go.program, "install", f"github.com/rhysd/actionlint/cmd/actionlint@{VERSION}"],
            env={
                **go.environment,
                "GOBIN": str(folder),
                "GOFLAGS": " ".join(
                    BUILD_FLAGS
                ),  # the server's, and no C: else Go's library is compiled once more
                "CGO_ENABLED": "0",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=170,
            check=True,
        )
    return program


if __name__ == "__main__":
    built_actionlint()
