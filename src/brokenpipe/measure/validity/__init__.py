"""Reasons not to trust a run: its machine, database, containers, processes and files."""
