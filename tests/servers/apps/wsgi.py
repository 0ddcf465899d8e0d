"""A plain WSGI service. It says that an answer is fine when the work is done; one answer is a stream."""

import sys

import work


def app(environ, start_response):
    path, headers = environ["PATH_INFO"], [("Content-Type", "text/plain")]
    if path == "/streamed":
        start_response("200 OK", headers)
        return streamed()
    if path != "/up":
        work.THREADED[path]()
    start_response("200 OK", headers)
    return [b"done"]


def streamed():
    """The pool is asked while the server reads the answer."""
    yield b"well, "
    work.THREADED["/select"]()
    yield b"done"


if __name__ == "__main__":
    server, host, port = sys.argv[1:]
    if server == "waitress":
        import waitress

        waitress.serve(app, host=host, port=int(port))
    else:
        from wsgiref.simple_server import make_server

        make_server(host, int(port), app).serve_forever()
