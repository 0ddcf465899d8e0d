"""What a stack by hand needs besides containers: a database and a proxy for each arm that is named.

An arm is NAME, or NAME=HOST:PORT where its proxy leads elsewhere than to Postgres.
"""

import json
import sys
import urllib.request

import psycopg
from psycopg import sql

FIRST_PORT = 20_001
arms = {name: place or "postgres:5432" for name, _, place in (each.partition("=") for each in sys.argv[1:])}

with psycopg.connect("host=postgres user=brokenpipe dbname=postgres", autocommit=True) as admin:
    there = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    for arm in arms:
        if arm not in there:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(arm)))

proxies = [
    {"name": arm, "listen": f"0.0.0.0:{port}", "upstream": place, "enabled": True}
    for port, (arm, place) in enumerate(arms.items(), FIRST_PORT)
]
request = urllib.request.Request(
    "http://toxiproxy:8474/populate",
    data=json.dumps(proxies).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
    print(answer.read().decode())  # noqa: T201
