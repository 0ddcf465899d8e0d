"""Runs from the web UI: commands from the page, phases made on the way, and the state that the page shows."""
