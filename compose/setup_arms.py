"""Creates a database and a proxy for each arm of the stack in compose.yaml.

An argument is the NAME of an arm, or NAME=HOST:PORT if its proxy leads elsewhere than to Postgres.
"""

import json
import sys
import urllib.request

import psycopg
from psycopg import sql

FIRST_PORT = 20_001
arms = {
    name: upstream or "postgres:5432" for name, _, upstream in (each.partition("=") for each in sys.argv[1:])
}

with psycopg.connect("host=postgres user=brokenpipe dbname=postgres", autocommit=True) as admin:
    existing = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    for arm in arms:
        if arm not in existing:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(arm)))

proxies = [
    {"name": arm, "listen": f"0.0.0.0:{port}", "upstream": upstream, "enabled": True}
    for port, (arm, upstream) in enumerate(arms.items(), FIRST_PORT)
]
request = urllib.request.Request(
    "http://toxiproxy:8474/populate",
    data=json.dumps(proxies).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
    print(answer.read().decode())  # noqa: T201
