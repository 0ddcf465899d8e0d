"""Settings that are wrong stop the service at its start, and it says which and what is allowed."""

from __future__ import annotations

import pytest

URL = "postgresql://someone:sesame@127.0.0.1:1/nothing"

# One row is one start of the service: all its mistakes must be reported at once.
# variable → (value, what the message must say about it)
NUMBERS = {
    "DATABASE_URL": (None, ["nothing", "postgresql://user"]),
    "DB_POOL_SIZE": ("ten", ["'ten'", "1 to 1000"]),
    "DB_MAX_OVERFLOW": ("-1", ["'-1'", "0 to 1000"]),
    "DB_POOL_TIMEOUT": ("0", ["'0'", "above 0"]),
    "DB_POOL_RECYCLE": ("-0.5", ["'-0.5'", "-1 (never)"]),
    "DB_CONNECT_TIMEOUT": ("1", ["'1'", "2 to 600"]),
    "DB_COMMAND_TIMEOUT": ("0", ["'0'", "above 0"]),
    "DB_TCP_USER_TIMEOUT_MS": ("99", ["'99'", "milliseconds from 100"]),
    "DB_KEEPALIVES": ("30,10", ["'30,10'", "such as 30,10,3"]),
    "DB_PREPARED_STATEMENT_CACHE_SIZE": ("-1", ["'-1'", "0 (none) to 10000"]),
    "DB_STATEMENT_CACHE_SIZE": ("many", ["'many'", "0 (none) to 10000"]),
    "AGENT_LLM_MS": ("nan", ["'nan'", "0 to 60000"]),
    "AGENT_STREAM_CHUNKS": ("0", ["'0'", "1 to 100"]),
}
WORDS = {
    "DB_DRIVER": ("pg8000", ["'pg8000'", "asyncpg, psycopg, psycopg2"]),
    "DB_POOL_PRE_PING": ("maybe", ["'maybe'", "true or false"]),
    "DB_POOL_USE_LIFO": ("", ["''", "true or false"]),
    "DB_POOL_SIZE": ("0", ["'0'", "1 to 1000"]),  # which SQLAlchemy would take for "no limit"
    "DB_PREPARED_NAMES": ("uuid", ["'uuid'", "numbered or unique"]),
    "AGENT_HOLD": ("forever", ["'forever'", "session or query"]),
    "AGENT_RETRY": ("always", ["'always'", "never, naive, keyed"]),
    "DB_POOL_RECYCLE": ("inf", ["'inf'", "-1 (never)"]),
    "DATABASE_URL": (URL.replace("://", "+asyncpg://"), ["postgresql+asyncpg://***@", "DB_DRIVER names it"]),
    # Misspelt, and so without effect: the pool would run with its default.
    "DB_POOL_PREPING": ("true", ["DB_POOL_PRE_PING?"]),
    "DB_POOL_SIZ": ("5", ["DB_POOL_SIZE?"]),
    "AGENT_HODL": ("query", ["AGENT_HOLD?"]),
}


# What one driver has and another has not; DB_DRIVER itself is right, and so not a mistake.
OTHERS = {
    "DB_COMMAND_TIMEOUT": ("2", ["'2'", "DB_DRIVER=asyncpg only"]),
    "DB_STATEMENT_CACHE_SIZE": ("0", ["'0'", "DB_DRIVER=asyncpg only"]),
    "DB_PREPARED_NAMES": ("unique", ["'unique'", "DB_DRIVER=asyncpg only"]),
    "DB_PREPARE_THRESHOLD": ("none", ["'none'", "DB_DRIVER=psycopg only"]),
}


@pytest.mark.parametrize("mistakes", [NUMBERS, WORDS, OTHERS], ids=["numbers", "words", "others"])
def test_every_mistake_is_named_with_what_is_allowed(fail_to_start, mistakes):
    """Exit code 3 and a line for each mistake: variable, value, remedy; no traceback, no password."""
    driver = {"DB_DRIVER": "psycopg2"} if mistakes is OTHERS else {}
    environment = {"DATABASE_URL": URL} | driver | {name: value for name, (value, _) in mistakes.items()}
    code, printed = fail_to_start({name: value for name, value in environment.items() if value is not None})
    # Uvicorn's own code for a failed start: its supervisor of several workers ends on it, and on no other.
    assert code == 3
    lines = {line.strip().partition(":")[0]: line for line in printed.splitlines()}
    for name, (_, fragments) in mistakes.items():
        for fragment in fragments:
            assert fragment in lines[name]
    assert len([line for line in lines if line.startswith(("DB_", "AGENT_", "DATABASE_"))]) == len(mistakes)
    assert "Traceback" not in printed
    assert "sesame" not in printed
