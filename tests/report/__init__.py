"""The report: what a reader is shown of one experiment."""
