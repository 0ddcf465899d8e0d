"""A hook that runs an action right after the target has imported a module, without importing it itself."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable

from brokenpipe_witness.safe_call import never_raises

Action = Callable[[], None]


def after_import(name: str, action: Action) -> None:
    """Run `action` once module `name` has run: now if it has, else when the target imports it."""
    if name in sys.modules:
        never_raises(action)()
    else:
        _FINDER.actions.setdefault(name, []).append(action)
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)


class _Finder:
    """Asks the other finders, and extends the loader that they return. Never loads anything itself."""

    def __init__(self) -> None:
        self.actions: dict[str, list[Action]] = {}

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.actions:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                self._run_action_after_exec(spec)
                return spec
        return None

    @never_raises
    def _run_action_after_exec(self, spec: ModuleSpec) -> None:
        """Shadow `exec_module` on this one loader. Its type stays, so resources and sources still work."""
        loader, name = spec.loader, spec.name
        if loader is None:  # a folder without `__init__.py`: nothing is executed
            return
        real = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            real(module)
            if module.__name__ == name:  # a zip file has one loader for all its modules
                vars(loader).pop("exec_module", None)
                for action in self.actions.pop(name, ()):
                    never_raises(action)()

        vars(loader)["exec_module"] = exec_module


_FINDER = _Finder()
