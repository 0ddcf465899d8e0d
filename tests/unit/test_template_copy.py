"""The copy of a template of Postgres's data, with and without the program that copies faster."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokenpipe.stack.postgres import template


@pytest.mark.parametrize("path", [None, "/nowhere"])
def test_a_copy_is_whole_and_closed_to_others(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file with its content and its mode, into a folder that is there and keeps its own; also without `cp`."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "base" / "1").mkdir(parents=True, mode=0o700)
    for name in ("PG_VERSION", "base/1/.hidden"):
        (source / name).write_text(name)
        (source / name).chmod(0o600)
    source.chmod(0o700)
    target.mkdir(mode=0o700)
    if path:
        monkeypatch.setenv("PATH", path)
    template._copy(source, target)
    for name in ("PG_VERSION", "base/1/.hidden"):
        assert (target / name).read_text() == name
        assert (target / name).stat().st_mode & 0o777 == 0o600
    assert target.stat().st_mode & 0o777 == 0o700
    assert sorted(template._file_sizes(str(target))) == sorted(map(len, ("PG_VERSION", "base/1/.hidden")))
