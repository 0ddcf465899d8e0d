"""What holds for tests without network and without servers."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no defect of the code, and a test run that cannot be repeated is none of use.
settings.register_profile("unit", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("unit")
