"""The index page of a folder of reports, and what it reads from their summaries."""
