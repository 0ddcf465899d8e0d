"""scipy's functions are there without all of scipy.special, and scipy.special is whole for who asks for it."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from brokenpipe.measure.stats import distributions

loaded = sorted(sys.modules)
from scipy import special
same = special.stdtrit is distributions.special.stdtrit
print(json.dumps([loaded, same, special.gamma(5.0)]))
"""
ELSEWHERE = """
import sys
from importlib.abc import MetaPathFinder

class Moved(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "scipy.special._ufuncs" and "scipy.special._orthogonal" not in sys.modules and not looked:
            looked.append(name)
            raise ImportError(name)

looked = []
sys.meta_path.insert(0, Moved())
from brokenpipe.measure.stats import distributions
print(distributions.special.__name__, looked)
"""


def _said(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_functions_come_without_what_is_wrapped_around_them() -> None:
    """Neither numpy's tests nor its Fortran wrappers are loaded, and scipy.special is whole afterwards."""
    loaded, same, gamma = json.loads(_said(SCRIPT))
    assert not {"scipy.special", "scipy._lib._array_api", "numpy.f2py", "numpy.testing"} & set(loaded)
    assert same
    assert gamma == 24.0


def test_a_scipy_that_keeps_them_elsewhere_is_imported_whole() -> None:
    """The package itself is asked then."""
    assert _said(ELSEWHERE).split() == ["scipy.special", "['scipy.special._ufuncs']"]
