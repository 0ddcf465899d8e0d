"""Writing what was found: reports, comparisons, trends, baselines, the index page, and a summary for GitHub."""
