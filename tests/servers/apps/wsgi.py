"""A plain WSGI service, whose answers are streams: their first bytes are sent before the work is done, if told so."""

import sys

import work


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/streamed":
        return streamed()
    if environ["PATH_INFO"] != "/up":
        work.THREADED[environ["PATH_INFO"]]()
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
