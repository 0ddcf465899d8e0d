"""How the witness asks sockets, and which requests it remembers: seen from within, for only clocks tell it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from brokenpipe.witness import SITE

SOCKETS = """
import socket
from brokenpipe_witness.socket_state import is_dead
near, far = socket.socketpair()
descriptor = near.fileno()
alive = is_dead(near)
far.close()
ended = is_dead(near)
near.close()
near, far = socket.socketpair()
assert near.fileno() == descriptor
assert (alive, ended, is_dead(near)) == (False, True, False)
"""

GEVENT = """
import brokenpipe_witness
brokenpipe_witness.start()
from gevent import monkey
monkey.patch_all()
import select
from brokenpipe_witness import socket_state, system_calls
assert system_calls.poll is not getattr(select, "poll", None)
near, far = monkey.get_original("socket", "socketpair")()
assert not socket_state.is_dead(near)
far.close()
assert socket_state.is_dead(near)
"""

OPERATIONS = """
import socket
from types import SimpleNamespace as Thing
from brokenpipe_witness.pools.sqlalchemy import statements
from brokenpipe_witness.pools.sqlalchemy.connections import attach_info
from brokenpipe_witness.checkout import Checkout
near, far = socket.socketpair()
checkout = Checkout()
record = Thing(info={})
attach_info(record, Thing(checkout=checkout))
connection = Thing(_dbapi_connection=Thing(_connection_record=record, dbapi_connection=near))

def dead_at(t):
    statements.now = lambda: t
    assert statements._begin_operation(connection, "statement") is checkout
    assert checkout.operation_began == t
    return checkout.operation_dead

assert dead_at(1_000_000_000) is False  # asked
far.close()
assert dead_at(1_000_400_000) is False  # not asked again so soon
assert dead_at(1_000_600_000) is True
assert dead_at(1_000_600_001) is True  # what was dead is asked always
"""

NO_CHECKOUT = """
from types import SimpleNamespace as Thing
from brokenpipe_witness import safe_call
from brokenpipe_witness.pools.sqlalchemy import statements
gone = [Thing(_dbapi_connection=None), Thing(_dbapi_connection=Thing(_connection_record=None))]
gone.append(Thing(_dbapi_connection=Thing(_connection_record=Thing(info={}))))
assert [statements._begin_operation(each, "commit") for each in gone] == [None] * 3
assert safe_call._reported == 0
"""

REPEATS = """
from brokenpipe_witness.requests import repeats
written = []
repeats.write = lambda record: written.append(record["id"])
for n in range(repeats.KEPT):
    repeats.record(str(n), "GET", "/")
repeats.record("0", "GET", "/")
assert written == ["0"]  # remembered for so many requests at least
repeats.forget("1")
repeats.record("1", "GET", "/")
assert written == ["0"]
for n in range(3 * repeats.KEPT):
    repeats.record(f"other {n}", "GET", "/")
assert len(repeats._young) + len(repeats._old) <= 2 * repeats.KEPT
repeats.record("2", "GET", "/")
assert written == ["0"]
"""


def _run(program: str, folder: Path) -> None:
    environment = {"PYTHONPATH": str(SITE), "BROKENPIPE_WITNESS": str(folder), "BROKENPIPE_ARM": "plain"}
    command = [sys.executable, "-S", "-c", program]  # -S: without the sitecustomize that would load it
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_descriptor_that_is_used_again_is_a_new_socket(tmp_path: Path) -> None:
    """One poll object serves all sockets of a number; it keeps nothing of the one before."""
    _run(SOCKETS, tmp_path)


def test_a_socket_that_was_alive_just_now_is_not_asked_again(tmp_path: Path) -> None:
    """Half a millisecond later it is; the beginning of the operation is its own in any case."""
    _run(OPERATIONS, tmp_path)


def test_an_operation_without_a_checkout_is_no_trouble(tmp_path: Path) -> None:
    """Its connection is closed, detached, or was never handed out by a pool."""
    _run(NO_CHECKOUT, tmp_path)


def test_the_last_requests_are_remembered_and_no_more(tmp_path: Path) -> None:
    """A repeat is known among thousands; what is older takes no memory."""
    _run(REPEATS, tmp_path)


def test_under_gevent_the_kernel_is_asked(tmp_path: Path) -> None:
    """Gevent puts its own poll in place of Python's, which lets others run and does not tell that the peer closes."""
    _run(f"import sys; sys.path += {sys.path!r}\n" + GEVENT, tmp_path)
