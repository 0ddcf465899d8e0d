"""A request of a WSGI application, by every way that PEP 3333 lets it answer. Nothing of it changes for the server."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from brokenpipe.witness import SITE

PROGRAM = """
import sys
from brokenpipe_witness.request_context import CURRENT_REQUEST
from brokenpipe_witness.requests import wsgi

def current():
    return CURRENT_REQUEST.get() and CURRENT_REQUEST.get().id

class Files:
    def __init__(self, file): self.file = file
    def __iter__(self): return iter([b"bytes of a file"])

def serve(app, name, chunks=None, closes=True, **more):
    "As a server would: the body that it got, and what was sent of it."
    environ = {"HTTP_X_REQUEST_ID": name, "REQUEST_METHOD": "GET", "PATH_INFO": "/" + name}
    environ |= {"wsgi.file_wrapper": Files} | more
    sent = []
    def start_response(status, headers, exc_info=None):
        if exc_info and sent:
            raise exc_info[1]
        return sent.append
    body = wsgi.instrumented(app, "a server")(environ, start_response)
    assert current() is None, "a request is current while nothing of it runs"
    try:
        for n, chunk in enumerate(body):
            assert current() is None
            sent.append(chunk)
            if n + 1 == chunks:
                break
    finally:
        if closes and hasattr(body, "close"):
            body.close()
    return body, sent

def fails(*arguments, **more):
    try:
        serve(*arguments, **more)
    except ZeroDivisionError as error:
        return
    raise AssertionError("the exception did not arrive")

def whole(environ, start_response):
    start_response("204 No Content", [])
    return WHOLE

WHOLE = [b"one"]
body, sent = serve(whole, "whole")
assert body is WHOLE and len(body) == 1
assert wsgi.instrumented(wrapped := wsgi.instrumented(whole, "a"), "b") is wrapped

def file(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](None)

assert type(serve(file, "file")[0]) is Files

def generator(environ, start_response):
    assert current() == "generator"
    start_response("200 OK", [])
    yield b"one"
    assert current() == "generator"
    yield b"two"

assert serve(generator, "generator")[1] == [b"one", b"two"]

class Body:
    closed = 0
    def __len__(self): return 1
    def __iter__(self): return iter([b"one"])
    def close(self):
        assert current() == "sized"
        Body.closed += 1

def sized(environ, start_response):
    start_response("200 OK", [])
    return Body()

assert len(serve(sized, "sized")[0]) == 1
assert Body.closed == 1

def writes(environ, start_response):
    write = start_response("200 OK", [])
    write(b"written")
    return []

assert serve(writes, "writes")[1] == [b"written"]

def error_page(environ, start_response):
    start_response("200 OK", [])
    try:
        1 / 0
    except ZeroDivisionError:
        start_response("503 Unavailable", [], sys.exc_info())
    return [b"sorry"]

serve(error_page, "error page")

def raises(environ, start_response):
    start_response("200 OK", [])
    1 / 0

fails(raises, "raises")

def raises_at_once(environ, start_response):
    start_response("200 OK", [])
    1 / 0
    yield b"never"

fails(raises_at_once, "raises at once")

def raises_later(environ, start_response):
    start_response("200 OK", [])
    yield b"one"
    1 / 0

fails(raises_later, "raises later")
serve(generator, "generator", chunks=1)  # again: a repeat, and its client hangs up
body, _ = serve(generator, "generator", closes=False, PATH_INFO="/unclosed")
del body
assert serve(lambda environ, start: start("200 OK", []) and [], "", HTTP_X_REQUEST_ID=None)[1] == []
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the witness writes while a server that asserts its own part serves them all."""
    folder = tmp_path_factory.mktemp("wsgi")
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", PROGRAM],
        env={
            "PYTHONPATH": str(SITE),
            "BROKENPIPE_WITNESS": str(folder),
            "BROKENPIPE_ARM": "plain",
            "BROKENPIPE_EVERY_REQUEST": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = folder.glob("witness-*.ndjson")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_nothing_went_wrong_in_the_witness(lines: list[dict[str, Any]]) -> None:
    """Each request has one line, the one that came twice two and a repeat; one without an id has none."""
    kinds = [line["k"] for line in lines]
    assert "trouble" not in kinds
    assert kinds.count("repeat") == 1
    assert kinds.count("plane") == 1
    ids = [line["id"] for line in lines if line["k"] == "request"]
    assert sorted(ids) == sorted(
        [
            "whole",
            "file",
            *["generator"] * 3,
            "sized",
            "writes",
            "error page",
            "raises",
            "raises at once",
            "raises later",
        ]
    )


@pytest.mark.parametrize(
    ("name", "status", "failed", "raised"),
    [
        ("whole", 204, False, None),
        ("file", 200, False, None),
        ("generator", 200, False, None),
        ("sized", 200, False, None),
        ("writes", 200, False, None),
        ("error page", 503, True, "builtins.ZeroDivisionError"),
        ("raises", None, True, "builtins.ZeroDivisionError"),
        ("raises at once", None, True, "builtins.ZeroDivisionError"),
        ("raises later", 200, True, "builtins.ZeroDivisionError"),
    ],
)
def test_what_became_of_a_request(
    lines: list[dict[str, Any]], name: str, status: int | None, failed: bool, raised: str | None
) -> None:
    """Its first status that was sent, none if the server had to answer, and the exception also of an error page."""
    line = next(each for each in lines if each.get("id") == name and each["k"] == "request")
    left = None if line["raised"] is None else line["raised"][0]["type"]
    assert (line["status"], line["began"], line["failed"], left) == (
        status,
        status is not None,
        failed,
        raised,
    )
    assert line["left_t"] is None


def test_a_client_that_hangs_up(lines: list[dict[str, Any]]) -> None:
    """The server closes the response before its end: nobody listens any more. One that it never closes ends as well."""
    first, left, unclosed = (
        each for each in lines if each.get("id") == "generator" and each["k"] == "request"
    )
    assert [line["left_t"] is None for line in (first, left, unclosed)] == [True, False, True]
    assert (left["failed"], unclosed["status"]) == (False, 200)
