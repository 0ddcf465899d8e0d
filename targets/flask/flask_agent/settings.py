"""Settings of the service: one environment variable for each field, its name in capitals."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Everything that can be configured."""

    database_url: SecretStr
    db_pool_size: int = Field(10, ge=1)
    db_max_overflow: int = Field(0, ge=0)
    db_pool_timeout: float = Field(5.0, gt=0)
    """Seconds to wait for a connection."""
    db_pool_pre_ping: bool = False
    db_pool_recycle: float = -1
    """Seconds after which a connection is replaced at its next checkout; -1: never."""
    agent_hold: Literal["session", "query"] = "session"
    """How long a chat keeps its connection: through the LLM call, or only while a query runs."""
    agent_llm_ms: float = Field(40.0, ge=0)
    agent_stream_chunks: int = Field(5, ge=1)
