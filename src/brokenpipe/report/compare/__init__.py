"""Comparing runs: the page, and the table of the terminal."""
