"""The stack under test: Postgres, Toxiproxy, one target for each arm, and the janitor that ends them all."""
