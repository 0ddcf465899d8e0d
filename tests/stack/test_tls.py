"""TLS between services and database, through the whole chain: what is said of a dead connection, and who is spared."""

from __future__ import annotations

import json
import re

import pytest
from tests.stack.runs import REPOSITORY, Run, Starter

pytestmark = pytest.mark.low_load

# The other drivers, to see that they are told of TLS in the same way, and reach their database.
ARMS = """
plain    = {}
pre_ping = { DB_POOL_PRE_PING = "true" }
asyncpg  = { DB_DRIVER = "asyncpg" }
psycopg  = { DB_DRIVER = "psycopg" }
"""


def short(brokenpipe: Starter) -> Run:
    """scenarios/tls.toml with two strikes instead of twelve, and those on idle connections only."""
    text = (REPOSITORY / "scenarios" / "tls.toml").read_text()
    text = re.sub(r"(?<=\[arms\]\n)(.+\n)+", ARMS.lstrip(), text)
    text = text.replace("episodes = 12", "episodes = 2").replace("users = 6", "users = 3")
    text = text.replace("seconds = 4", "seconds = 2")
    # The report shows one chain for each cause: psycopg2's.
    text = text.replace("quiet_s = 0.8", 'arms = ["plain", "pre_ping"]\nquiet_s = 0.8')
    text = text[: text.index('[[expect]]\narm = "recycle"')]
    text = re.sub(r'\[\[phases\]\]\nname = "in_use"(.|\n)+?(?=\[\[expect)', "", text)
    locustfile = REPOSITORY / "scenarios" / "locustfile.py"
    text = text.replace("[load]\n", f'[load]\nlocustfile = "{locustfile}"\n')
    scenario = brokenpipe.folder / "tls.toml"
    scenario.write_text(text)
    return brokenpipe.run(scenario, html=True)


def test_eof_detected(brokenpipe: Starter) -> None:
    """Without pre-ping users meet OpenSSL's words, and the report shows them; with it nobody does.

    Each strike was seen by a connection of the harness's own; nobody's key is left, or in what one would mail.
    """
    run = short(brokenpipe)
    assert run.popen.returncode in {0, 3}, run.out  # unknown: it is measured on a machine that others use
    idle = {arm: found["phases"]["idle"] for arm, found in run.summary["arms"].items()}
    steady = {arm: found["phases"]["steady"] for arm, found in run.summary["arms"].items()}
    assert all(found["requests"] and not found["failed"] for found in steady.values())
    assert idle["plain"]["broken"] > 0
    assert (idle["pre_ping"]["broken"], idle["pre_ping"]["masked"] > 0) == (0, True)

    report = (run.folder / "report.html").read_text()
    # Its title has the words, but not their exception.
    assert "(psycopg2.OperationalError) SSL SYSCALL error: EOF detected" in report
    assert "tls = true" in report
    assert json.loads((run.folder / "plan.json").read_text())["scenario"]["postgres"]["tls"] is True

    landings = run.history("nemesis.ndjson", "landing")
    assert [each["seen"] for each in landings] == ["eof"] * 4
    assert "witness_trouble" not in {warning["code"] for warning in run.summary["warnings"]}
    for file in run.folder.rglob("*"):
        assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes(), file
