"""Both scenarios, performed once for all tests, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ground_truth.comparison import Tally
from tests.ground_truth.runner import performed


@pytest.fixture(scope="session")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    """Every failed request with what was planted and what was found."""
    return performed(tmp_path_factory.mktemp("truth"))


@pytest.fixture
def docs() -> Path:
    return Path(__file__).parents[2] / "docs"
