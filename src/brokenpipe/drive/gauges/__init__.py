"""Samplers: once a second, what processes, the machine, Postgres and Toxiproxy do, and who is still alive."""
