"""Each scenario is played once; all tests of its file read that one report."""

from __future__ import annotations

import pytest
from tests.strangers.plays import play
from tests.strangers.told import Report


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of the scenario that the file names."""
    return play(request.module.SCENARIO, tmp_path_factory.mktemp(request.module.SCENARIO))
