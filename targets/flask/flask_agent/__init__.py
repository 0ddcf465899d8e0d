"""The sample agent in threads: Flask on SQLAlchemy and psycopg2."""
