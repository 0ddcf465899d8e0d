"""Packets lost in a whole run: in a network of its own, beside a black hole, measured and attributed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.stack.packet_loss_cases import LONG_LOSS, LOSS, packet_loss_scenario
from tests.stack.runs import REPOSITORY, Run, Starter, eventually

pytestmark = [pytest.mark.low_load, pytest.mark.usefixtures("namespaces")]

BLACK_HOLE = """
[[phases]]
name = "black_hole"
fault = { name = "black_hole" }
seconds = 4
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("lossy")
    return Starter(folder).run(packet_loss_scenario(folder, BLACK_HOLE + LOSS))


def _broken(run: Run, arm: str, phase: str) -> int:
    found: int = run.summary["arms"][arm]["phases"][phase]["broken"]
    return found


def test_both_silences_were_promised_and_seen(run: Run) -> None:
    """Every contract held before, raw sockets saw each fault in every block, and no act failed."""
    assert [probe for probe in run.history("experiment.ndjson", "probe") if not probe["held"]] == [], run.out
    landings = run.history("nemesis.ndjson", "landing")
    assert {landing["phase"] for landing in landings} == {"black_hole", "packet_drop"}
    assert [landing for landing in landings if not landing["landed"]] == []
    assert [act for act in run.history("nemesis.ndjson", "act") if act["error"]] == []


def test_only_what_is_lost_is_given_up_by_the_kernel(run: Run) -> None:
    """TCP_USER_TIMEOUT and keepalives break requests when packets are lost; in a black hole only its healing does."""
    assert _broken(run, "limits", "packet_drop") > 0
    assert _broken(run, "plain", "packet_drop") == 0
    cuts = [cut for cut in run.history("links.ndjson", "link_cut") if cut["toxic"] == "black_hole"]
    assert {cut["reason"] for cut in cuts if cut["arm"] in {"plain", "limits"}} == {"healed"}
    for arm in ("plain", "limits"):
        assert _broken(run, arm, "black_hole") <= len([cut for cut in cuts if cut["arm"] == arm])


def test_what_the_kernel_gave_up_is_owed_to_the_loss(run: Run) -> None:
    """Every request that failed in a silence is attributed to a fault."""
    failed = {
        phase: sum(arm["phases"][phase]["failed"] for arm in run.summary["arms"].values())
        for phase in ("black_hole", "packet_drop", "afterwards")
    }
    assert failed["black_hole"] > 0
    assert failed["packet_drop"] > 0
    assert failed["afterwards"] == 0, run.out
    assert "unattributed" not in run.out


def test_killed_in_the_middle_of_a_loss_it_leaves_nothing(tmp_path: Path) -> None:
    """No process outlives the harness, and the network with its rules is gone with the last one in it."""
    ours = Path("/proc/self/ns/net").readlink()
    with Starter(tmp_path).start(
        "run", packet_loss_scenario(tmp_path, LONG_LOSS), "--reports", tmp_path / "reports"
    ) as run:
        run.wait_for("lost · packet_drop", timeout_s=150)
        its = Path(f"/proc/{run.popen.pid}/ns/net").readlink()
        assert its != ours
        run.send(signal.SIGKILL)
        run.popen.wait()
        eventually(lambda: its not in _networks(), f"somebody is still in {its}", timeout_s=10)


def test_where_there_is_no_namespace_it_is_refused(tmp_path: Path) -> None:
    """Before anything is started: what was tried, in its own words, and what to do instead."""
    none_left = "echo 0 > /proc/sys/user/max_net_namespaces"  # for those in this user namespace
    scenario = packet_loss_scenario(tmp_path, LONG_LOSS)
    command = f"{none_left} && {sys.executable} -m brokenpipe run {scenario} --reports {tmp_path}/r"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--", "sh", "-c", command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "packets cannot be dropped here" in done.stderr
    assert "unshare --user --map-root-user --net -- nft -f -: unshare: unshare failed" in done.stderr
    assert "or use black_hole" in done.stderr
    assert not (tmp_path / "r").exists()


def _networks() -> set[Path]:
    """Of every process that there is."""
    found = set()
    for pid in psutil.pids():
        try:
            found.add(Path(f"/proc/{pid}/ns/net").readlink())
        except OSError:  # it has ended, or is not ours to look at
            continue
    return found
