"""The sample agent as a Django project: the ORM on psycopg 3, under WSGI or ASGI."""
