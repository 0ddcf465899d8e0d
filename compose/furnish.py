"""What a stack by hand needs besides containers: a database and a proxy for each arm that is named."""

import json
import sys
import urllib.request

import psycopg
from psycopg import sql

FIRST_PORT = 20_001

with psycopg.connect("host=postgres user=brokenpipe dbname=postgres", autocommit=True) as admin:
    there = {name for (name,) in admin.execute("SELECT datname FROM pg_database")}
    for arm in sys.argv[1:]:
        if arm not in there:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(arm)))

proxies = [
    {"name": arm, "listen": f"0.0.0.0:{port}", "upstream": "postgres:5432", "enabled": True}
    for port, arm in enumerate(sys.argv[1:], FIRST_PORT)
]
request = urllib.request.Request(
    "http://toxiproxy:8474/populate",
    data=json.dumps(proxies).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
    print(answer.read().decode())  # noqa: T201
