"""Packets lost between containers: in both directions, at one proxy only, and in nobody else's packet filter."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.containers.containers import CONFINED, IMAGES, containers_of, docker, eventually
from tests.containers.packet_loss_stack import Ground
from tests.stack.packet_loss_cases import LONG_LOSS, LOSS, packet_loss_scenario
from tests.stack.runs import REPOSITORY, Run, Starter

from brokenpipe.drive.detection.tcp_sentinel import probe_connect
from brokenpipe.drive.raw_postgres.raw_socket import Address, connect
from brokenpipe.drive.self_test.echo_server import echo_server
from brokenpipe.drive.self_test.wire import self_test_faults
from brokenpipe.errors import NamespaceError, ProxyError
from brokenpipe.faults import PacketDrop
from brokenpipe.stack.containers.compose_file import choose_network
from brokenpipe.stack.containers.container_process import container_process
from brokenpipe.stack.containers.engine import find_engine
from brokenpipe.stack.packet_loss import namespace, nftables
from brokenpipe.stack.packet_loss.containers import ContainerPacketFilter
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.processes.process import Child
from brokenpipe.stack.proxy.server import ToxiproxyServer

pytestmark = [pytest.mark.low_load, pytest.mark.timeout(180), pytest.mark.usefixtures("engine")]

HELD_S = 0.8  # a packet between two containers takes less than a millisecond
UNDER_WAY_S = 0.3
PATIENCE_S = 30.0
ARM = "plain"


@pytest.fixture(autouse=True, scope="module")
def _root() -> None:
    try:
        namespace.find_container_entry_method()
    except NamespaceError as error:
        pytest.skip(f"{error.message}; {'; '.join(error.details)}")


def filters() -> list[str]:
    """The tables of this machine's own packet filter."""
    return _tables("/proc/self/ns/net").splitlines()


def _tables(network: str) -> str:
    """Those of the packet filter in a namespace."""
    listed = ["nsenter", f"--net={network}", "--", nftables.find_nft() or "nft", "list", "tables"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def ground(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    name = f"brokenpipe-lossy-{os.getpid()}"
    addresses = choose_network(())
    options = ("--internal", f"--subnet={addresses.network}", f"--gateway={addresses.gateway}")
    docker("network", "create", "--label=brokenpipe.test", *options, name)
    found = Ground(find_engine(), tmp_path_factory.mktemp("lossy"), name, addresses)
    try:
        yield found
    finally:
        for each in found.made:
            docker("rm", "--force", "--volumes", each)
        docker("network", "rm", name)


@pytest.fixture(scope="module")
def packets(ground: Ground) -> ContainerPacketFilter:
    return ContainerPacketFilter(ground.addresses.toxiproxy, wanted=True)


@pytest.fixture(scope="module")
def server(ground: Ground, packets: ContainerPacketFilter) -> Iterator[ToxiproxyServer]:
    with ground.toxiproxy(packets) as running:
        yield running


def _answered(address: Address) -> bool:
    with connect(address) as connection:
        connection.sendall(b"!")
        return connection.recv(1) == b"!"


def _heard(connection: socket.socket, within_s: float) -> bytes:
    """What arrives in that time, after what was under way."""
    under_way = time.monotonic() + UNDER_WAY_S
    while (left_s := under_way - time.monotonic()) > 0:
        _next(connection, left_s)
    return _next(connection, within_s)


def _next(connection: socket.socket, within_s: float) -> bytes:
    connection.settimeout(within_s)
    try:
        return connection.recv(65_536)
    except TimeoutError:
        return b""


def test_lost_packets_hold_their_contract(ground: Ground, server: ToxiproxyServer) -> None:
    """Raw sockets of this machine see what they see of a local proxy, and no rule of this machine's has changed."""
    before = filters()
    probes = self_test_faults(
        [PacketDrop()], server, lambda: pytest.fail("no server is asked"), harness_host=ground.here
    )
    assert [(probe.seen, probe.held) for probe in probes] == [
        ("silence", True),
        ("unreached", True),
        ("silence", True),
    ]
    assert filters() == before
    assert not any("brokenpipe" in table for table in before)


def test_neither_end_hears_the_other(
    ground: Ground, server: ToxiproxyServer, packets: ContainerPacketFilter
) -> None:
    """What a service asks does not arrive, what it is told neither; healed, both do, on the same connection."""
    with (
        socket.create_server((ground.here, 0)) as listener,
        echo_server(ground.here) as echo,
        server.scratch_proxy(echo) as neighbour,
        ExitStack() as running,
    ):
        proxy = server.create_proxy(ARM, listener.getsockname()[:2])
        service = running.enter_context(packets.with_rules(ground.service(proxy), ARM))
        talker = running.enter_context(listener.accept()[0])
        assert _next(talker, PATIENCE_S)
        PacketDrop().inject(proxy)
        asked = _heard(talker, HELD_S)
        talker.sendall(b"!")
        told = _printed(service, within_s=HELD_S)
        next_door = _answered((neighbour.host, neighbour.port))
        PacketDrop().heal(proxy)
        assert asked == b"", "what the service has asked got through"
        assert told == "", "what the service was told got through"
        assert next_door, "another proxy lost its packets, too"
        eventually(lambda: _next(talker, HELD_S) or None, "the service to be heard again")
        eventually(lambda: _printed(service) or None, "the service to hear")


def _printed(service: Child, within_s: float = 0.0) -> str:
    """What it has said, if anything, within that time."""
    try:
        service.popen.wait(within_s)
    except subprocess.TimeoutExpired:
        return service.log_path.read_text()
    return pytest.fail(f"the service has ended: {service.log_path.read_text()}")


def test_a_container_that_is_started_again_has_rules_again(ground: Ground, server: ToxiproxyServer) -> None:
    """Its namespace is another: it begins without loss, and loses when it is asked to."""
    with echo_server(ground.here) as echo, server.scratch_proxy(echo) as proxy:
        PacketDrop().inject(proxy)
        server.restart()
        assert _answered((proxy.host, proxy.port))
        PacketDrop().inject(proxy)
        assert probe_connect(proxy.host, proxy.port, HELD_S) == "unreached"
        PacketDrop().heal(proxy)
        assert _answered((proxy.host, proxy.port))


def test_what_has_no_use_for_it_has_no_rules(ground: Ground) -> None:
    """No namespace is entered then, and to ask for a loss is an error."""
    packets = ContainerPacketFilter(ground.addresses.arm(1), wanted=False)
    started = ground.container(f"{ground.name}-idle", packets.host, IMAGES[2], "sleep", "infinity")
    with packets.with_rules(started) as child:
        assert "brokenpipe" not in _tables(f"/proc/{child.pid}/ns/net")
        with pytest.raises(ProxyError, match="namespace of the run's own"):
            packets.set_loss(ARM, 20_000, True)


def test_no_rules_are_laid_out_in_the_network_of_this_machine(ground: Ground, tmp_path: Path) -> None:
    """A container that was given it is refused, and its filter stays as it is."""
    before = filters()
    name = f"{ground.name}-at-home"
    options = (*CONFINED, "--label=brokenpipe.test", f"--name={name}", "--network=host")
    docker("create", *options, IMAGES[2], "sleep", "infinity")
    try:
        started = container_process(
            name,
            name,
            ground.engine,
            log_path=tmp_path / "log",
            janitor=NoJanitor(),
            stop_signal=signal.SIGKILL,
        )
        packets = ContainerPacketFilter("127.0.0.1", wanted=True)
        with pytest.raises(NamespaceError, match="network of this machine"), packets.with_rules(started):
            pytest.fail("its packets could be lost")
        assert filters() == before
    finally:
        docker("rm", "--force", name)


@pytest.fixture(scope="module")
def run(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("lossy")
    return Starter(folder).run(packet_loss_scenario(folder, LOSS), "--stack", "compose")


def test_a_loss_was_promised_and_seen(run: Run) -> None:
    """Every contract held before, raw sockets saw the loss in every block, and no act failed."""
    probes = run.history("experiment.ndjson", "probe")
    assert {probe["situation"] for probe in probes if probe["held"]} == {"idle", "fresh", "mid_transfer"}, (
        run.out
    )
    landings = run.history("nemesis.ndjson", "landing")
    assert {landing["arm"] for landing in landings} == {"plain", "limits"}
    assert [landing for landing in landings if not landing["landed"]] == []
    assert {act["error"] for act in run.history("nemesis.ndjson", "act")} == {None}
    assert json.loads((run.folder / "plan.json").read_text())["stack"] == "compose"


def test_the_kernel_of_a_service_gives_up_where_it_is_told_to(run: Run) -> None:
    """The arm with TCP_USER_TIMEOUT and keepalives breaks while packets are lost, plain waits; then both are well."""
    lost = {name: arm["phases"]["packet_drop"] for name, arm in run.summary["arms"].items()}
    assert lost["limits"]["broken"] > 0, run.out
    assert lost["plain"]["failed"] > 0
    assert lost["plain"]["broken"] == 0
    afterwards = {arm["phases"]["afterwards"]["failed"] for arm in run.summary["arms"].values()}
    assert afterwards == {0}, run.out
    assert "unattributed" not in run.out


def test_killed_in_the_middle_of_a_loss_it_leaves_nothing(tmp_path: Path) -> None:
    """Rules go with the containers' namespaces; those of this machine were never touched."""
    before = filters()
    scenario = packet_loss_scenario(tmp_path, LONG_LOSS)
    arguments = ("run", scenario, "--stack", "compose", "--reports", tmp_path / "reports")
    with Starter(tmp_path).start(*arguments, judge=False) as run:
        run.wait_for("lost · packet_drop", timeout_s=150)
        mine = containers_of(run.popen.pid)
        pids = docker("inspect", "--format", "{{.State.Pid}}", *mine).split()
        networks = [f"/proc/{pid}/ns/net" for pid in pids if pid != "0"]
        lossy = [network for network in networks if "brokenpipe" in _tables(network)]
        assert len(lossy) == 3  # Toxiproxy's and two agents'
        assert filters() == before
        run.send(signal.SIGKILL)
        run.popen.wait()
        eventually(lambda: not containers_of(run.popen.pid) or None, "the containers to go")
        eventually(lambda: not any(map(os.path.exists, lossy)) or None, "their namespaces to go")


def test_who_may_not_enter_containers_is_refused(tmp_path: Path) -> None:
    """Before anything is started: what was tried, in its own words, and what to do instead."""
    command = [
        sys.executable,
        "-m",
        "brokenpipe",
        "run",
        str(packet_loss_scenario(tmp_path, LOSS)),
        "--stack",
        "compose",
    ]
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--", *command, "--reports", str(tmp_path / "r")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "packets cannot be dropped in containers here" in done.stderr
    assert "nsenter --net=/proc/self/ns/net" in done.stderr
    assert "or use black_hole" in done.stderr
    assert not (tmp_path / "r").exists()
