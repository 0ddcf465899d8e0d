"""An idle limit counts the client's silence, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress

from brokenpipe.drive.raw_postgres.raw_socket import connect, wait_for_end
from brokenpipe.faults import IdleReset
from brokenpipe.faults.contract import EARLY_S, LATE_S

LIMIT_S = 0.3
FAULT = IdleReset(after_ms=300)
# A process that shares two cores is woken late now and then; the contract's own 20 ms are held by the certificate.
WOKEN_LATE_S = 5 * LATE_S


def _seconds_until_reset(connection: socket.socket, since_ns: int) -> float:
    sighting = wait_for_end(connection, time.monotonic_ns() + 3_000_000_000)
    assert sighting is not None, "the connection did not end within 3 s"
    assert sighting.seen == "reset"
    return (sighting.t_ns - since_ns) / 1e9


def test_the_silence_counts_from_the_last_byte(make_proxy, open_socket) -> None:
    """A connection ends 300 ms after the client's last byte, however long it had lived before."""
    proxy = make_proxy(rst_on_close=True)
    FAULT.inject(proxy)
    connection = open_socket(proxy)
    for _ in range(8):
        time.sleep(LIMIT_S / 4)
        last_ns = time.monotonic_ns()
        connection.sendall(b"?")
    took_s = _seconds_until_reset(connection, last_ns)
    assert LIMIT_S - EARLY_S <= took_s <= LIMIT_S + WOKEN_LATE_S


def test_an_old_silence_ends_at_the_injection(make_proxy, open_socket) -> None:
    """What has been silent for longer than the limit when that is injected ends at once."""
    proxy = make_proxy(rst_on_close=True)
    connection = open_socket(proxy)
    time.sleep(LIMIT_S * 1.2)
    before_ns = time.monotonic_ns()
    FAULT.inject(proxy)
    assert _seconds_until_reset(connection, before_ns) <= WOKEN_LATE_S


def test_a_silence_is_not_forgotten_when_other_toxics_change(make_proxy, open_socket) -> None:
    """Updates in the middle of a silence, of this toxic and of others, do not start it anew."""
    proxy = make_proxy(rst_on_close=True)
    FAULT.inject(proxy)
    connection = open_socket(proxy)
    since_ns = time.monotonic_ns()
    for _ in range(3):
        time.sleep(LIMIT_S / 5)
        FAULT.inject(proxy)
        proxy.update("latency_downstream", latency=1)
    assert _seconds_until_reset(connection, since_ns) <= LIMIT_S + WOKEN_LATE_S


def test_healing_saves_what_still_lives(make_proxy, open_socket) -> None:
    """Healed before the limit is reached, a silent connection lives on."""
    proxy = make_proxy(rst_on_close=True)
    FAULT.inject(proxy)
    connection = open_socket(proxy)
    time.sleep(LIMIT_S / 3)
    FAULT.heal(proxy)
    assert wait_for_end(connection, time.monotonic_ns() + round(1.5 * LIMIT_S * 1e9)) is None
    connection.sendall(b"!")
    connection.settimeout(1)
    assert connection.recv(1) == b"!"


def test_an_answer_on_its_way_is_no_activity(server) -> None:
    """A client that waits in silence for a long answer is cut off in the middle of it: a toxic sees one direction."""
    with socket.create_server(("127.0.0.1", 0)) as chatty:

        def chatter() -> None:
            accepted, _ = chatty.accept()
            with accepted, suppress(OSError):
                for _ in range(300):
                    accepted.sendall(b"still working\n")
                    time.sleep(0.01)

        talker = threading.Thread(target=chatter)
        talker.start()
        with server.scratch_proxy(chatty.getsockname(), rst_on_close=True) as proxy:
            FAULT.inject(proxy)
            opened_ns = time.monotonic_ns()
            with closing(connect((proxy.host, proxy.port))) as connection:
                took_s = _seconds_until_reset(connection, opened_ns)
        talker.join()
    assert LIMIT_S - EARLY_S <= took_s <= LIMIT_S + WOKEN_LATE_S
