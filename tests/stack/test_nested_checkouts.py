"""A service whose requests take two connections at once, played for real: the advice is no size."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.runs import Run, Starter, write_scenario
from tests.unit.shell import brokenpipe

pytestmark = pytest.mark.low_load

SIZES = (2, 4, 10)
PHASE = """
[[phases]]
name = "steady"
seconds = 8
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Run:
    """Four users: a pool of ten has room for all that they can want, two and four have not."""
    folder = tmp_path_factory.mktemp("nested")
    scenario = write_scenario(
        folder / "nested.toml",
        PHASE,
        target="nested",
        locustfile=project / "scenarios" / "locustfile.py",
        users=4,
        arms="\n".join(f'size_{size} = {{ POOL_SIZE = "{size}" }}' for size in SIZES),
    )
    return Starter(folder).run(scenario, cwd=project)


def test_every_request_is_seen_to_take_two_at_once(played: Run) -> None:
    """Of every size, also of that in which nobody waits for the second."""
    arms = played.summary["arms"]
    assert arms["size_10"]["phases"]["steady"]["failed"] == 0
    for size in SIZES:
        (found,) = arms[f"size_{size}"]["phases"]["steady"]["nested_checkouts"]
        assert found["request"] == "GET /work"
        missing = (
            found["requests"] - found["nested"]
        )  # where the pool is small, some wait for their first in vain
        assert missing <= 4 if size == 10 else found["nested"] > 20
        assert found["connections"] == 2
        assert (
            found["waited"] > 0 if size < 10 else found["waited"] <= 2
        )  # of hundreds: two may begin together
    assert arms["size_2"]["phases"]["steady"]["nested_checkouts"][0]["gave_up"] > 5


def test_the_report_and_the_advice_say_that_no_size_is_enough(played: Run) -> None:
    """In ten connections nobody waits, which is no knee."""
    sizing = played.summary["sizing"]
    assert sizing["knee"] is None
    assert sizing["known"] is False
    assert any(said.startswith("Requests of GET /work take two") for said in played.summary["evidence"])
    advised = brokenpipe("advise", str(played.folder), "--peak-per-s", "30")
    text = " ".join((advised.out + advised.err).split())
    assert advised.exit_code == 3, advised
    assert "No pool size is enough. Requests of GET /work take two connections of one pool at once" in text
    assert "a pool of n safely serves n − 1 of them at a time" in text
    assert "pool_size=" not in text
