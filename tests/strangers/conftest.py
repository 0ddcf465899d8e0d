"""Each stranger is played once; all tests of its file read that one report."""

from __future__ import annotations

import pytest
from tests.strangers.plays import play
from tests.strangers.told import Report


@pytest.fixture(scope="class")
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of the stranger whose class asks for it."""
    return play(request.cls.name, tmp_path_factory.mktemp(request.cls.name))
