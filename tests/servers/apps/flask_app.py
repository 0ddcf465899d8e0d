"""A Flask service, which answers with a 500 of Flask's own when something fails."""

import flask
import work

app = flask.Flask(__name__)


@app.get("/<path:path>")
def do(path):
    if path != "up":
        work.THREADED[f"/{path}"]()
    return "done"


@app.get("/streamed")
def streamed():
    def stream():
        yield "well, "
        work.THREADED["/select"]()
        yield "done"

    return flask.Response(stream())
