"""Packets that are lost: what plain sockets see of it, in a network namespace that a child of the tests has made."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.wire.in_namespace import KEEPALIVE, USER_TIMEOUT_MS, WATCH_S

from brokenpipe.errors import ProxyError
from brokenpipe.faults import PacketDrop

REPOSITORY = Path(__file__).parents[2]
KEEPALIVES_S = sum(KEEPALIVE.values()) - 1  # idle, then one interval for each of the two that go unanswered


@pytest.fixture(scope="module")
def seen(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything that `tests.wire.in_namespace` saw."""
    folder = tmp_path_factory.mktemp("secluded")
    done = subprocess.run(
        [sys.executable, "-m", "tests.wire.in_namespace", str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_lost_packets_hold_their_contract(seen: dict[str, Any]) -> None:
    """Idle and in mid-transfer there is silence, and nobody can connect."""
    assert [(probe["situation"], probe["seen"], probe["held"]) for probe in seen["probed"]] == [
        ("idle", "silence", True),
        ("fresh", "unreached", True),
        ("mid_transfer", "silence", True),
    ]


def test_the_certificate_notices_packets_that_were_not_lost(seen: dict[str, Any]) -> None:
    """Injected on nothing, it fails in every situation."""
    assert [(probe["seen"], probe["held"]) for probe in seen["on nothing"]] == [("alive", False)] * 3


def test_a_user_timeout_gives_up_what_nobody_acknowledges(seen: dict[str, Any]) -> None:
    """The sender's kernel ends the connection: not before the limit, and at its next retransmission at the latest."""
    lost = seen["user timeout, lost"]
    assert lost["errno"] == errno.ETIMEDOUT
    assert USER_TIMEOUT_MS / 1000 - 0.05 <= lost["after_s"] < WATCH_S


@pytest.mark.parametrize("which", ["user timeout, lost, nothing sent", "user timeout, swallowed"])
def test_a_user_timeout_waits_while_nothing_is_unacknowledged(seen: dict[str, Any], which: str) -> None:
    """Nothing under way, or all of it acknowledged by a proxy: the limit says nothing about that."""
    assert seen[which] == {"errno": None, "after_s": pytest.approx(WATCH_S, abs=2.0)}


def test_keepalives_give_up_a_silent_peer(seen: dict[str, Any]) -> None:
    """With nothing under way, the probes that nobody answers end the connection when they are used up."""
    lost = seen["keepalives, lost"]
    assert lost["errno"] == errno.ETIMEDOUT
    assert KEEPALIVES_S - 0.1 <= lost["after_s"] < WATCH_S


@pytest.mark.parametrize("which", ["keepalives, lost, something sent", "keepalives, swallowed"])
def test_keepalives_do_not_end_what_is_under_way_or_acknowledged(seen: dict[str, Any], which: str) -> None:
    """While a packet waits for its acknowledgement no probe is sent; and a proxy answers every one."""
    assert seen[which] == {"errno": None, "after_s": pytest.approx(WATCH_S, abs=2.0)}


def test_nothing_is_missing_when_it_is_healed(seen: dict[str, Any]) -> None:
    """What was sent meanwhile arrives in full, on the same connection; another proxy was never touched."""
    assert seen["healed"] == {"whole": True, "next_door": True}


def test_answers_are_lost_as_questions_are(seen: dict[str, Any]) -> None:
    """A server that goes on talking is heard when it is healed, not before."""
    assert seen["unheard"] == {"meanwhile": "", "later": "!"}


def test_lost_packets_are_told_from_a_black_hole_in_an_experiment(seen: dict[str, Any]) -> None:
    """A raw socket testifies while they are lost, not after that, and not of bytes that a proxy has swallowed."""
    assert seen["held"] == {"there": True, "gone": False, "other": False}


@pytest.mark.parametrize(
    ("driver", "called"),
    [
        ("psycopg", "unexpected end of connection"),
        ("psycopg2", "connection refused"),
        ("asyncpg", "connection refused"),
    ],
)
def test_a_refusal_that_comes_late(seen: dict[str, Any], driver: str, called: str) -> None:
    """The same refusal: psycopg has looked for it too early, and tells of a connection that has ended."""
    assert seen[f"refused late, {driver}"] == called


def test_a_server_that_is_restarted_begins_without_loss(seen: dict[str, Any]) -> None:
    """Its proxies are neutral again, as their toxics are."""
    assert seen["restarted"] == {"answers": True}


def test_nothing_is_dropped_outside_of_a_namespace(make_proxy, open_socket) -> None:
    """The packet filter of the machine is nobody's to change: refused, and the proxy answers."""
    proxy = make_proxy()
    with pytest.raises(ProxyError, match="namespace of the run's own"):
        PacketDrop().inject(proxy)
    open_socket(proxy)
