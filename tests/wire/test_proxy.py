"""The adapter believes nothing that it has not read back, and waits for nothing longer than it said."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from brokenpipe.drive.raw_postgres.raw_socket import wait_for_end
from brokenpipe.errors import ProxyError, ProxyHung
from brokenpipe.faults import KILL_SWITCH, Toxic
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.ports import free_port
from brokenpipe.stack.proxy.api import ToxiproxyApi
from brokenpipe.stack.proxy.server import toxiproxy_server


def test_the_server_says_which_toxiproxy_it_is(server) -> None:
    """The version is that of the library linked in."""
    assert server.version == "2.12.0"


def test_a_new_proxy_is_neutral_and_has_a_real_port(make_proxy, open_socket) -> None:
    """Its port is known, data passes, and no toxic does anything."""
    proxy = make_proxy()
    assert proxy.port > 0
    assert not proxy.rst_on_close
    connection = open_socket(proxy)
    assert wait_for_end(connection, time.monotonic_ns() + 100_000_000) is None


def test_a_misspelt_attribute_is_refused(make_proxy) -> None:
    """An attribute that the toxic does not have is named, with those that it has."""
    with pytest.raises(ProxyError, match="latency_downstream has no attribute latncy") as caught:
        make_proxy().update("latency_downstream", latncy=25)
    assert "latency, jitter" in caught.value.remedy


def test_a_toxic_that_is_not_there_is_refused(make_proxy) -> None:
    """A toxic that the proxy does not carry is named, with those that it carries."""
    with pytest.raises(ProxyError, match="no toxic bandwidth") as caught:
        make_proxy().update("bandwidth", rate=1)
    assert "kill_switch" in caught.value.remedy


def test_an_attribute_the_server_drops_is_noticed(server, echo) -> None:
    """The server accepts a toxic with a misspelt attribute, and ignores it; reading back shows that."""
    misspelt = Toxic("it", "latency", "downstream", {"latncy": 25})
    with pytest.raises(ProxyError, match="does not hold the state that was set"):
        server.create_proxy("misspelt", echo, toxics=[misspelt])


def test_a_change_behind_its_back_is_noticed(server, make_proxy) -> None:
    """If somebody else changes any toxic of the proxy, the next change says so."""
    proxy = make_proxy()
    ToxiproxyApi(server.api_port).update_toxic(proxy.name, "latency_upstream", {"latency": 7})
    with pytest.raises(ProxyError, match="does not hold the state that was set"):
        proxy.kill()


def test_a_proxy_that_vanished_is_noticed(server, echo) -> None:
    """A change of a proxy that the server does not know any more is refused, with the server's words."""
    api = ToxiproxyApi(server.api_port)
    with server.scratch_proxy(echo) as proxy:
        api.delete_proxy(proxy.name)
        with pytest.raises(ProxyError, match="proxy not found"):
            proxy.kill()
        api.create_proxy(proxy.name, listen="127.0.0.1:0", upstream="127.0.0.1:1")  # for the block to delete


def test_a_name_can_be_given_once(server, echo, make_proxy) -> None:
    """A second proxy of the same name is refused."""
    taken = make_proxy().name
    with pytest.raises(ProxyError, match="proxy already exists"):
        server.create_proxy(taken, echo)


def test_a_taken_api_port_is_an_error_that_says_so(server, start_server) -> None:
    """Another server on the port is not mistaken for ours, although it answers as ours would."""
    with pytest.raises(ProxyError, match=f"port {server.api_port} for its API is taken"):
        start_server(api_port=server.api_port)


def test_a_server_that_ends_at_once_is_an_error_that_shows_its_log(tmp_path) -> None:
    """What is no Toxiproxy does not come up; its last words are shown."""
    impostor = tmp_path / "toxiproxy"
    impostor.write_text("#!/bin/sh\necho cannot go on\n")
    impostor.chmod(0o755)
    with (
        pytest.raises(ProxyError, match="ended while starting") as caught,
        toxiproxy_server(impostor, log_path=tmp_path / "log", janitor=NoJanitor()),
    ):
        pass
    assert caught.value.details == ("cannot go on",)


def test_a_server_that_is_not_there_is_an_error() -> None:
    """Nobody on the port: cannot be reached, and that is not the same as hung."""
    with pytest.raises(ProxyError, match="cannot be reached") as caught:
        ToxiproxyApi(free_port()).version()
    assert not isinstance(caught.value, ProxyHung)


def test_a_web_proxy_in_the_environment_is_not_asked(server, echo, monkeypatch) -> None:
    """Calls to the loopback go there, whatever proxies a company's shell profile names."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with server.scratch_proxy(echo) as proxy:
        proxy.kill()


def _stop(pid: int) -> None:
    """SIGSTOP, and wait until every thread has: one that still runs may answer."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 5
    tasks = Path(f"/proc/{pid}/task")
    while tasks.exists() and any(
        (task / "stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_hung_server_is_told_within_3_seconds_and_recovers(start_server, echo, open_socket) -> None:
    """A server that answers nothing raises ProxyHung; restarted, the same proxy works on the same port."""
    own = start_server()
    proxy = own.create_proxy("arm", echo, rst_on_close=True)
    proxy.update("latency_downstream", latency=50)
    older, port, pid = open_socket(proxy), proxy.port, own.child.pid
    _stop(pid)
    started = time.monotonic()
    with pytest.raises(ProxyHung, match="no answer within 2 s"):
        proxy.kill()
    assert time.monotonic() - started < 3

    own.restart()

    assert own.child.pid != pid
    assert (proxy.port, proxy.rst_on_close) == (port, True)
    assert wait_for_end(older, time.monotonic_ns() + 1_000_000_000) is not None, (
        "the old connection outlived its server"
    )
    younger = open_socket(proxy)
    proxy.kill()
    sighting = wait_for_end(younger, time.monotonic_ns() + 1_000_000_000)
    assert sighting is not None
    assert sighting.seen == "reset"


def test_a_server_ends_with_its_block(start_server, echo) -> None:
    """Stopped, the process is gone, and calls to its proxies fail at once."""
    own = start_server()
    proxy = own.create_proxy("arm", echo, toxics=[KILL_SWITCH])
    own.stop()
    assert not own.child.running
    with pytest.raises(ProxyError, match="cannot be reached"):
        proxy.kill()
