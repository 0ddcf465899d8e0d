"""A Postgres of the run's own: its server, cluster, databases and certificates."""
