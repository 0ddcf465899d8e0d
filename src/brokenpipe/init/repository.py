"""The files of a repository, as far as they can say something of its service."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

MAX_BYTES = 1_000_000  # of a file
MAX_FILES = 5000
_PASSED_OVER = frozenset(
    {
        "__pycache__", "alembic", "benchmarks", "brokenpipe", "build", "dist", "docs", "env", "examples", "migrations",
        "node_modules", "scripts", "site-packages", "test", "testing", "tests", "venv",
    }
)  # fmt: skip
"""Folders whose Python is not the service's."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A Python file. `shown`: its path as it is told."""

    path: Path
    shown: str
    tree: ast.Module

    def place(self, node: ast.AST) -> str:
        """Where a node stands, for people."""
        return f"{self.shown}:{getattr(node, 'lineno', 1)}"


class Repository:
    """A folder with a service in it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @cached_property
    def sources(self) -> tuple[SourceFile, ...]:
        """Its Python files without tests, migrations and environments, those near the top first."""
        paths = sorted(self._python_paths(), key=lambda path: (len(path.parts), path.parts))
        return tuple(source for path in paths[:MAX_FILES] if (source := self._parse(path)))

    def _python_paths(self) -> Iterator[Path]:
        for folder, names, files in os.walk(self.root):
            names[:] = [name for name in names if self._is_walked(Path(folder, name))]
            for name in files:
                if name.endswith(".py") and not name.startswith("test_") and name != "conftest.py":
                    yield Path(folder, name)

    @staticmethod
    def _is_walked(folder: Path) -> bool:
        name = folder.name
        return not (name.startswith(".") or name in _PASSED_OVER or (folder / "pyvenv.cfg").exists())

    def _parse(self, path: Path) -> SourceFile | None:
        text = self.text(path)
        with suppress(SyntaxError, ValueError, RecursionError):
            return SourceFile(path, self.shown(path), ast.parse(text)) if text is not None else None
        return None

    def text(self, path: Path) -> str | None:
        """The text of a file; None if there is none, or if it is too large to be one of these."""
        with suppress(OSError, ValueError):
            if path.is_file() and path.stat().st_size <= MAX_BYTES:
                return path.read_text(encoding="utf-8", errors="replace")
        return None

    def shown(self, path: Path) -> str:
        """A path as it is told: relative to the repository."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def lines(self, *names: str) -> Iterator[tuple[str, int, str]]:
        """File, number and text of each line of the files with these names."""
        for name in names:
            for number, line in enumerate((self.text(self.root / name) or "").splitlines(), 1):
                yield name, number, line

    @cached_property
    def import_roots(self) -> tuple[Path, ...]:
        """Folders from which its modules are imported: src/ and the repository itself."""
        return tuple(folder for folder in (self.root / "src", self.root) if folder.is_dir())

    @cached_property
    def imported_names(self) -> frozenset[str]:
        """The first words of all absolute imports in its sources."""
        names = set()
        for source in self.sources:
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names.add(node.module.partition(".")[0])
        return frozenset(names)

    def import_root_of(self, path: Path) -> Path:
        """The folder from which a file is imported: above the outermost one that is a package or imported by name."""
        root = path.parent
        inside = [
            parent for parent in path.parents if parent != self.root and parent.is_relative_to(self.root)
        ]
        for parent in inside:
            if parent not in self.import_roots and (
                (parent / "__init__.py").exists() or parent.name in self.imported_names
            ):
                root = parent.parent
        return root

    def module_of(self, path: Path) -> str:
        """The name under which a file is imported."""
        parts = path.relative_to(self.import_root_of(path)).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
