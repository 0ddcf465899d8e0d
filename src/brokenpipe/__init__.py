"""brokenpipe: load-testing and failure-reproduction harness for database connection pools."""

__version__ = "0.2.0"
