"""Python imports this at start because its folder is first on PYTHONPATH. It starts the witness.

A sitecustomize of the target's own, further down sys.path, is run first and keeps the name: for the target
nothing has changed. If that one raises, Python reports it as it would have without us.
"""

import importlib.machinery
import importlib.util
import os
import sys


def _run_next_sitecustomize() -> None:
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (no pathlib at start-up: 5 ms)
    further = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", further)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _start_witness() -> None:
    if not os.environ.get("BROKENPIPE_WITNESS"):
        return
    try:
        import brokenpipe_witness

        brokenpipe_witness.start()
    except Exception:  # noqa: BLE001, S110 (the target comes first; a silent witness is noticed by the harness)
        pass


try:
    _run_next_sitecustomize()
finally:
    _start_witness()
