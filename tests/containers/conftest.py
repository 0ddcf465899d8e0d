"""A Docker engine of this machine with the images of the stack in it (`make images`), or the reason why not."""

from __future__ import annotations

import pytest
from tests.containers.containers import no_engine


@pytest.fixture(scope="session")
def engine() -> None:
    """Skips where no container can be started; with CI=true that fails."""
    if reason := no_engine():
        pytest.skip(reason)
