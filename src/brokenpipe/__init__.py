"""brokenpipe: load-testing and failure-reproduction harness for database connection pools."""

__version__ = "0.1.0"
