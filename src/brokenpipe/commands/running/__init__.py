"""Carrying out a run: batch or web, and in a network namespace if it loses packets."""
