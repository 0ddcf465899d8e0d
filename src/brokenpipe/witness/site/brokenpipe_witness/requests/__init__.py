"""The plane of requests: servers, whose applications are wrapped, and frameworks that answer for an exception.

asgi           a request of an ASGI application
wsgi           a request of a WSGI application
lifecycle      the beginning and the end of either
repeats        requests that arrive more than once
applications   where a server keeps its application

Each other module is named after the library that it instruments.
"""
