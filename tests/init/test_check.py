"""What `check` says of a service that answers and does not do what it must. Nothing is started."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.plans import STEADY, TARGET, scenario

from brokenpipe.drive import service_check
from brokenpipe.errors import CheckError
from brokenpipe.plan.plan import Plan

OK = {"name": "GET /orders", "status": 200, "error": None, "ms": 3.2}
FAILED = {"name": "GET /total", "status": 500, "error": "500 Internal Server Error", "ms": 2.0}


class Child:
    """A process that has said something: this one."""

    def __init__(self, pid: int = 0) -> None:
        self.pid = pid or os.getpid()
        self.log_path = Path("logs/target-plain.log")

    def last_lines(self, _count: int) -> tuple[str, ...]:
        return ("relation orders does not exist",)


@pytest.fixture
def proofs() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def check(proofs: list[tuple[str, str]]) -> Any:
    plan = Plan(stem="x", scenario=scenario(STEADY), target=TARGET)
    return service_check.ServiceCheck(
        plan,
        SimpleNamespace(locustfile=Path("scenarios/locustfile.py")),  # type: ignore[arg-type]
        SimpleNamespace(),  # type: ignore[arg-type]
        lambda _: None,
        lambda what, by: proofs.append((what, by)),
    )


def arm(port: int = 1) -> Any:
    service = SimpleNamespace(url="http://127.0.0.1:2", child=Child())
    return SimpleNamespace(name="plain", service=service, proxy=SimpleNamespace(port=port))


def links(folder: Path, *arms: str) -> Any:
    path = folder / "links.ndjson"
    path.write_text("".join(f'{{"kind":"link_opened","t":1,"arm":"{name}","port":5}}\n' for name in arms))
    return SimpleNamespace(links_path=path)


def test_links_of_the_proxy_prove_the_way(check: Any, proofs: list[tuple[str, str]], tmp_path: Path) -> None:
    """Those of this arm, and no other's."""
    service_check._prove_database(
        check, arm(), links(tmp_path, "plain", "scratch_1", "plain"), {"requests": []}
    )
    assert proofs == [("database", "2 connections through the proxy")]


def test_a_service_that_connects_past_the_proxy(check: Any, tmp_path: Path) -> None:
    """It answers, and no connection came: to which address it has one instead, what it was given, and the key."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = other.getsockname()
        with (
            socket.create_connection(address),
            pytest.raises(CheckError, match="reaches its database past the proxy, or not at all") as refusal,
        ):
            service_check._prove_database(check, arm(), links(tmp_path, "scratch_1"), {"requests": [OK]})
    assert f"127.0.0.1:{address[1]}" in refusal.value.message
    assert "It is given DSN" in refusal.value.remedy
    assert "the key is dsn_env in targets/agent/target.toml" in refusal.value.remedy
    assert refusal.value.exit_code == 4


def test_an_endpoint_that_fails_is_named(check: Any, proofs: list[tuple[str, str]]) -> None:
    """With its status, the service's own last lines and the keys; the others are proved."""
    with pytest.raises(
        CheckError, match=r"1 of 2 endpoints of the locustfile failed: GET /total \(status 500\)"
    ) as refusal:
        service_check._prove_endpoints(check, arm(), {"requests": [OK, FAILED]})
    assert proofs == [("GET /orders", "200 in 3 ms")]
    assert refusal.value.details == ("relation orders does not exist",)
    assert "`prepare` in targets/agent/target.toml makes tables" in refusal.value.remedy


def test_a_locustfile_without_requests_proves_nothing(check: Any) -> None:
    """Nothing was asked, so nothing is known."""
    with pytest.raises(CheckError, match="the locustfile made no request"):
        service_check._prove_endpoints(check, arm(), {"requests": []})
