"""The sample agent without SQLAlchemy: Starlette on a driver's own pool."""
