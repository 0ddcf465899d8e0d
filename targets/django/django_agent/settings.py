"""Settings of the project, from environment variables."""

import os
from urllib.parse import unquote, urlsplit


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in {"1", "true"}


_URL = urlsplit(os.environ["DATABASE_URL"])
_MAX_AGE_S = os.environ.get("CONN_MAX_AGE", "0")
_POOL = {
    "min_size": int(os.environ.get("DB_POOL_MIN_SIZE", "4")),
    "max_size": int(os.environ.get("DB_POOL_MAX_SIZE", "10")),
    "timeout": float(os.environ.get("DB_POOL_TIMEOUT", "5")),
}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(_URL.path[1:]),
        "USER": unquote(_URL.username or ""),
        "PASSWORD": unquote(_URL.password or ""),
        "HOST": _URL.hostname,
        "PORT": _URL.port,
        # 0, Django's own default: a connection for each request. "none": a thread keeps its connection for good.
        "CONN_MAX_AGE": None if _MAX_AGE_S == "none" else int(_MAX_AGE_S),
        "CONN_HEALTH_CHECKS": _flag("CONN_HEALTH_CHECKS"),
        # Psycopg's pool, from which each request borrows one. It does not go with a CONN_MAX_AGE other than 0.
        "OPTIONS": {"pool": _POOL} if _flag("DB_POOL") else {},
    }
}

AGENT_HOLD = os.environ.get("AGENT_HOLD", "session")
"""With a pool: how long a chat keeps its connection, through the LLM call (session) or while a query runs (query)."""
AGENT_LLM_MS = float(os.environ.get("AGENT_LLM_MS", "40"))
AGENT_STREAM_CHUNKS = int(os.environ.get("AGENT_STREAM_CHUNKS", "5"))

ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django_agent"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "django_agent.urls"
SECRET_KEY = "nothing here is signed"  # noqa: S105
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
