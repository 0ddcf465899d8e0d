"""Settings of the service: one environment variable for each field, its name in capitals."""

import difflib
import os
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

T = TypeVar("T")

OWN_PREFIXES = ("DB_", "AGENT_")
"""A variable that begins so is meant for this service: one that is not a field here is a spelling mistake."""


class Driver(StrEnum):
    """The library that speaks to Postgres, by the name SQLAlchemy knows it by."""

    ASYNCPG = "asyncpg"
    PSYCOPG = "psycopg"
    PSYCOPG2 = "psycopg2"


class Hold(StrEnum):
    """How long a chat keeps its database connection: through the LLM call, or only while a query runs."""

    SESSION = "session"
    QUERY = "query"


class Retry(StrEnum):
    """What becomes of a memory whose connection ended while it was being written.

    never: an error. naive: it is written once more, and is there twice if it had been committed. keyed: it is
    written once more under the client's key, which can be there only once.
    """

    NEVER = "never"
    NAIVE = "naive"
    KEYED = "keyed"


class Keepalives(NamedTuple):
    """Probes on a connection that has been idle: after how many seconds, how far apart, and how many go unanswered."""

    idle_s: int
    interval_s: int
    probes: int


class Names(StrEnum):
    """What asyncpg's prepared statements are called: by a number that each process counts from 1, or uniquely."""

    NUMBERED = "numbered"
    UNIQUE = "unique"


Flag = Annotated[bool, Field(description="true or false")]


OF_ONE_DRIVER = {
    "db_command_timeout": Driver.ASYNCPG,
    "db_prepared_statement_cache_size": Driver.ASYNCPG,
    "db_statement_cache_size": Driver.ASYNCPG,
    "db_prepared_names": Driver.ASYNCPG,
    "db_prepare_threshold": Driver.PSYCOPG,
}


class Settings(BaseSettings):
    """Everything that can be configured. The description of a field says what is allowed in it."""

    database_url: SecretStr = Field(
        description="postgresql://user:password@host:port/database, without a driver (DB_DRIVER names it)"
    )
    db_driver: Driver = Field(Driver.ASYNCPG, description=", ".join(Driver))
    db_echo: Flag = False

    # The upper end is arbitrary: one digit too many should not open ten thousand connections.
    db_pool_size: int = Field(10, ge=1, le=1000, description="a whole number from 1 to 1000")
    db_max_overflow: int = Field(0, ge=0, le=1000, description="a whole number from 0 to 1000")
    db_pool_timeout: float = Field(
        5.0, gt=0, le=3600, description="seconds, above 0 and at most 3600; fractions count"
    )
    db_pool_pre_ping: Flag = False
    db_pool_recycle: float = Field(
        -1.0,
        allow_inf_nan=False,
        description="-1 (never) or seconds from 0 (at every checkout); fractions count",
    )
    db_pool_use_lifo: Flag = False

    # Client-side limits. Without them: asyncpg connects for 60 s at most, psycopg for 130 s, psycopg2 for as long as
    # the kernel tries; and no driver ever gives up on a statement.
    db_connect_timeout: int | None = Field(
        None,
        ge=2,
        le=600,
        description="a whole number of seconds from 2 to 600 (libpq knows no shorter limit)",
    )
    db_command_timeout: float | None = Field(
        None, gt=0, le=3600, description="seconds, above 0 and at most 3600, with DB_DRIVER=asyncpg only"
    )

    # When the kernel gives up on a database that has fallen silent. Without them: after 15 minutes if something that
    # was sent is not acknowledged, else never.
    db_tcp_user_timeout_ms: int | None = Field(
        None,
        ge=100,
        le=3_600_000,
        description="a whole number of milliseconds from 100 to 3600000, on Linux only",
    )
    db_keepalives: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,3},[1-9]\d{0,3},[1-9]\d?$",
        description="seconds idle, seconds between two probes, number of probes: such as 30,10,3; on Linux only",
    )

    # Prepared statements. None: the library's own default (100, 100, numbered; 5). Behind a PgBouncer that lends its
    # connections for a transaction only, a statement may meet a connection on which it was never prepared.
    db_prepared_statement_cache_size: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="SQLAlchemy's cache: a whole number from 0 (none) to 10000, with DB_DRIVER=asyncpg only",
    )
    db_statement_cache_size: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="the driver's cache: a whole number from 0 (none) to 10000, with DB_DRIVER=asyncpg only",
    )
    db_prepared_names: Names | None = Field(
        None, description=f"{' or '.join(Names)}, with DB_DRIVER=asyncpg only"
    )
    db_prepare_threshold: int | Literal["none"] | None = Field(
        None,
        description="after how many executions: a whole number from 0 to 10000, or none (never), "
        "with DB_DRIVER=psycopg only",
    )

    agent_hold: Hold = Field(Hold.SESSION, description=" or ".join(Hold))
    agent_retry: Retry = Field(Retry.NEVER, description=", ".join(Retry))
    agent_llm_ms: float = Field(40.0, ge=0, le=60_000, description="mean delay in ms, from 0 to 60000")
    agent_stream_chunks: int = Field(5, ge=1, le=100, description="a whole number from 1 to 100")

    @field_validator("database_url")
    @classmethod
    def _is_a_postgres_url(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except ArgumentError:
            # Its text repeats the URL, and with it the password.
            raise ValueError("not a URL") from None
        if url.drivername != "postgresql" or not url.host or not url.database:
            raise ValueError("not a complete URL of a Postgres database")
        return value

    @field_validator("db_pool_recycle")
    @classmethod
    def _is_never_or_an_age(cls, value: float) -> float:
        # SQLAlchemy takes everything above -1 for an age: -0.5 would silently mean "at every checkout".
        if value < 0 and value != -1:
            raise ValueError("a negative age")
        return value

    @property
    def keepalives(self) -> Keepalives | None:
        """DB_KEEPALIVES, read."""
        return Keepalives(*map(int, self.db_keepalives.split(","))) if self.db_keepalives else None

    @field_validator("db_tcp_user_timeout_ms", "db_keepalives")
    @classmethod
    def _is_something_the_system_has(cls, value: T) -> T:
        if value is not None and sys.platform != "linux":
            raise ValueError("not a setting of this system")
        return value

    @field_validator("db_prepare_threshold")
    @classmethod
    def _is_a_number_of_executions(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and not 0 <= value <= 10_000:
            raise ValueError("out of range")
        return value

    @field_validator(*OF_ONE_DRIVER)
    @classmethod
    def _is_something_the_driver_has(cls, value: T, info: ValidationInfo) -> T:
        # The others have no such setting: it would silently have no effect.
        owner = OF_ONE_DRIVER[info.field_name or ""]
        if value is not None and info.data.get("db_driver", Driver.ASYNCPG) is not owner:
            raise ValueError("not a setting of this driver")
        return value


class SettingsError(Exception):
    """The environment does not make a valid configuration; the text names every variable that is wrong."""


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises SettingsError with one line for each mistake: the variable, what was found, what is allowed.
    """
    mistakes = list(_unknown_variables())
    try:
        settings = Settings()
    except ValidationError as error:
        mistakes = [*_invalid_values(error), *mistakes]
    if mistakes:
        raise SettingsError("the settings in the environment are wrong:\n  " + "\n  ".join(mistakes))
    return settings


def _invalid_values(error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_url=False):
        field = str(mistake["loc"][0])
        found = "nothing" if mistake["type"] == "missing" else _without_password(repr(mistake["input"]))
        yield f"{field.upper()}: found {found}; allowed: {Settings.model_fields[field].description}"


def _unknown_variables() -> Iterator[str]:
    known = [field.upper() for field in Settings.model_fields]
    for name in sorted(os.environ):
        if name.upper().startswith(OWN_PREFIXES) and name.upper() not in known:
            closest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)[0]
            yield f"{name}: no such setting; did you mean {closest}? allowed: {', '.join(known)}"


def _without_password(found: str) -> str:
    return re.sub(r"//.*@", "//***@", found)
