"""The page beside Locust's own web UI."""
