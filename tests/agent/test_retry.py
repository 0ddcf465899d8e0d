"""AGENT_RETRY: what becomes of a memory whose connection ends while it is written, with every driver."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from brokenpipe.faults import CommitCut
from brokenpipe.stack.processes.janitor import NoJanitor
from brokenpipe.stack.proxy.proxy import Proxy
from brokenpipe.stack.proxy.server import ToxiproxyServer, toxiproxy_server
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary

from .conftest import DRIVERS, REPOSITORY, Agent

RETRIES = ("never", "naive", "keyed")


@pytest.fixture(scope="module")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToxiproxyServer]:
    log_path = tmp_path_factory.mktemp("toxiproxy") / "toxiproxy.log"
    binary = toxiproxy_binary(REPOSITORY / "proxies")
    with toxiproxy_server(binary, log_path=log_path, janitor=NoJanitor()) as running:
        yield running


@pytest.fixture(scope="module")
def agents(start_agent, server, toxiproxy) -> Iterator[dict[str, tuple[Agent, Proxy]]]:
    """A service for each driver and each way of retrying, each behind a proxy of its own."""

    @contextmanager
    def behind_a_proxy(driver: str, retry: str) -> Iterator[tuple[Agent, Proxy]]:
        database = f"retry_{driver}_{retry}"
        server.create_database(database)
        with toxiproxy.scratch_proxy((server.host, server.port), rst_on_close=True) as proxy:
            url = server.dsn(database, port=proxy.port)
            environment = {"DATABASE_URL": url, "DB_DRIVER": driver, "AGENT_RETRY": retry}
            with start_agent(database=database, **environment) as agent:
                yield agent, proxy

    with ExitStack() as ends, ThreadPoolExecutor(4) as starters:
        services = {f"{d} {r}": behind_a_proxy(d, r) for d in DRIVERS for r in RETRIES}
        started = {name: starters.submit(service.__enter__) for name, service in services.items()}
        for name, service in services.items():
            if started[name].exception() is None:
                ends.push(service)
        yield {name: start.result() for name, start in started.items()}


def _written(service: tuple[Agent, Proxy], lost: str) -> tuple[int, int]:
    """The status of a write whose commit was cut, and how often it is there."""
    agent, proxy = service
    CommitCut(lost=lost).inject(proxy)  # type: ignore[arg-type]
    answer = agent.post("/memories", {"key": lost, "text": "likes tea"})
    ((count,),) = agent.query(f"SELECT count(*) FROM memories WHERE key = '{lost}'")
    return answer.status_code, count


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_commit_that_is_cut(agents, driver):
    """Never: an error, whatever was done. Naive: twice there if the reply was lost. Keyed: once there in any case."""
    outcomes = {
        retry: [_written(agents[f"{driver} {retry}"], lost) for lost in ("reply", "commit")]
        for retry in RETRIES
    }
    assert outcomes == {
        "never": [(500, 1), (500, 0)],
        "naive": [(201, 2), (201, 1)],
        "keyed": [(201, 1), (201, 1)],
    }


def test_a_key_that_is_there_already_is_the_answer(agents):
    """Keyed, a client that asks again gets the receipt of its first write; otherwise it writes again."""
    ids = {}
    for retry in RETRIES:
        agent, _ = agents[f"psycopg {retry}"]
        receipts = [agent.post("/memories", {"key": "again", "text": text}).json() for text in ("a", "b")]
        assert [receipt["key"] for receipt in receipts] == ["again", "again"]
        ids[retry] = len({receipt["id"] for receipt in receipts})
    assert ids == {"never": 2, "naive": 2, "keyed": 1}
