"""Files for other programs: summary.json, JUnit, Markdown, metrics and annotations of GitHub."""
