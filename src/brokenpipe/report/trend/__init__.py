"""The trend over many runs: which belong together, what changed for good, and the page."""
