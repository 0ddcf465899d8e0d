"""Tables of a scenario that configure one thing: Postgres, PgBouncer, the limits of a regression."""
