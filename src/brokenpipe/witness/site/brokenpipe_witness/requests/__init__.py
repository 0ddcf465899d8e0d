"""The plane of requests: one module for each server, which wraps the application, and one for each interface.

asgi        a request of an ASGI application
repeats     requests that arrive more than once
uvicorn     every application that uvicorn loads
"""
