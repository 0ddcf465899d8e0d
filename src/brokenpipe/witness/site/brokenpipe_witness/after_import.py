"""Doing something right after a module was first imported, without importing it ourselves."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable

from brokenpipe_witness.quiet import quietly

Action = Callable[[], None]


def after_import(name: str, action: Action) -> None:
    """Run `action` once module `name` has run: now if it has, else when the target imports it."""
    if name in sys.modules:
        quietly(action)()
    else:
        _FINDER.awaited[name] = action
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)


class _Finder:
    """Asks the other finders, then listens in on the loader they named. Never loads anything itself."""

    def __init__(self) -> None:
        self.awaited: dict[str, Action] = {}

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.awaited:
            return None
        for finder in sys.meta_path:
            look = getattr(finder, "find_spec", None)
            spec = look(name, path, target) if look and finder is not self else None
            if spec is not None:
                self._listen_in(spec)
                return spec
        return None

    @quietly
    def _listen_in(self, spec: ModuleSpec) -> None:
        """Shadow `exec_module` on this one loader: its type stays, so resources and sources still work."""
        loader, name = spec.loader, spec.name
        real = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            real(module)
            if module.__name__ == name:  # a zip file has one loader for all its modules
                vars(loader).pop("exec_module", None)
                action = self.awaited.pop(name, None)
                if action is not None:
                    quietly(action)()

        loader.exec_module = exec_module


_FINDER = _Finder()
