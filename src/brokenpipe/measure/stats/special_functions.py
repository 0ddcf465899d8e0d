"""scipy's compiled special functions, without what scipy.special wraps around them.

Importing scipy.special takes 0.35 s of processor time, nearly all of it for arrays of other libraries: it rewrites
docstrings, and loads numpy's tests and its Fortran wrappers. The functions themselves are in one compiled module. If a
scipy keeps them elsewhere, the package is imported as a whole.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import scipy

PACKAGE = "scipy.special"


def compiled_functions() -> Any:
    """The module of ufuncs: `stdtrit`, `betaincinv` and others."""
    if PACKAGE not in sys.modules and (found := PathFinder.find_spec(PACKAGE, scipy.__path__)):
        try:
            return _import_below_empty_package(found)
        except (ImportError, AttributeError):
            pass
    return importlib.import_module(PACKAGE)


def _import_below_empty_package(found: ModuleSpec) -> ModuleType:
    """Nothing of it stays in sys.modules: who asks for scipy.special gets all of it."""
    package = ModuleType(PACKAGE)
    package.__path__ = list(found.submodule_search_locations or ())
    sys.modules[PACKAGE] = package
    try:
        return importlib.import_module(f"{PACKAGE}._ufuncs")
    finally:
        for name in [name for name in sys.modules if name.partition(f"{PACKAGE}.")[1] or name == PACKAGE]:
            del sys.modules[name]
