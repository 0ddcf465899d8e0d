"""A PgBouncer of the run's own: its server and its configuration."""
