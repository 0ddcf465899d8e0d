"""A TCP client and a Postgres client on plain sockets, which see every message and every end."""
