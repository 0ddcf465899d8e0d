"""Why each request failed: its error class, its root cause and the stage it was in."""
