"""Settings, from variables that begin with INVOICES_."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What differs between its installations."""

    model_config = SettingsConfigDict(env_prefix="INVOICES_")

    database_url: str = "postgresql+psycopg2://localhost/invoices"
    pool_size: int = 5
    signing_key: SecretStr
