"""Mistakes in a TOML file: where each one is, and what to write instead."""
