"""Django's own connections, which a thread keeps from one request to the next; `checked` asks each once a request."""

import os
from urllib.parse import urlsplit

_URL = urlsplit(os.environ["DSN"])
_DATABASE = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": _URL.path[1:],
    "USER": _URL.username,
    "PASSWORD": _URL.password,
    "HOST": _URL.hostname,
    "PORT": _URL.port,
    "CONN_MAX_AGE": 60,
}
DATABASES = {"default": _DATABASE, "checked": {**_DATABASE, "CONN_HEALTH_CHECKS": True}}


def _execute(alias, statement):
    from django.db import connections  # after the settings

    with connections[alias].cursor() as cursor:
        cursor.execute(statement)


def select():
    _execute("default", "select 1")


def select_checked():
    _execute("checked", "select 1")


def sleep():
    _execute("default", "select pg_sleep(20)")
