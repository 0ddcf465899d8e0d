"""Locust's own web UI: runs started from it, our pages in it, and the check of who may use it."""
