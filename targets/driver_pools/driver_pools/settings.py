"""Settings of the service: one environment variable for each field, its name in capitals."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Everything that can be configured."""

    database_url: SecretStr
    pool: Literal["asyncpg", "psycopg"] = "asyncpg"
    pool_min_size: int = Field(10, ge=0)
    pool_max_size: int = Field(10, ge=1)
    pool_timeout: float = Field(5.0, gt=0)
    """Seconds to wait for a connection."""
    pool_max_idle: float = Field(300.0, ge=0)
    """Seconds after which an idle connection is closed. asyncpg's own default; psycopg_pool's is 600."""
    pool_check: bool = False
    """Look at a connection before it is handed out. psycopg_pool only: asyncpg.Pool has nothing of the kind."""
    agent_hold: Literal["session", "query"] = "session"
    """How long a chat keeps its connection: through the LLM call, or only while a query runs."""
    agent_llm_ms: float = Field(40.0, ge=0)
    agent_stream_chunks: int = Field(5, ge=1)
