"""Several runs held against the first: what was configured otherwise, and what came out otherwise."""
