"""Comparison of several runs with the first: differences in configuration and in results."""
