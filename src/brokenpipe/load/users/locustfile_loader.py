"""The loader of the user's locustfile: as Locust loads it, with errors that fit into one line."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from locust import LoadTestShape, User
from locust.util.load_locustfile import load_locustfile

TEXT_LIMIT = 300


class LocustfileDefect(Exception):
    """The locustfile cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class LoadedLocustfile:
    """User classes of a locustfile that are not abstract, and its load shapes."""

    user_classes: tuple[type[User], ...]
    shapes: tuple[LoadTestShape, ...]


def load(path: Path) -> LoadedLocustfile:
    """Run the locustfile. Raises LocustfileDefect if it fails or defines no user."""
    if not path.is_file():
        raise LocustfileDefect(f"{path}: there is no such file")
    try:
        by_name, shapes = load_locustfile(str(path))
    except (Exception, SystemExit) as error:  # a locustfile may raise anything
        raise LocustfileDefect(error_location(error, path)) from error
    classes = tuple(dict.fromkeys(by_name.values()))  # one class under two names is one class
    if not classes:
        raise LocustfileDefect(
            f"{path}: defines no user: a class derived from HttpUser, FastHttpUser or User, and not abstract"
        )
    names = [made.__name__ for made in classes]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise LocustfileDefect(f"{path}: two user classes are called {doubled[0]}")
    return LoadedLocustfile(classes, tuple(shapes))


def error_location(error: BaseException, path: Path) -> str:
    """`FILE, line N: Class: message`, with the line of the locustfile that led there, in one line."""
    message = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"[:TEXT_LIMIT]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) == path]
    if not own:
        return f"{path}: {text}"[:TEXT_LIMIT]
    return f"{path}, line {own[-1].lineno}: {text}"[:TEXT_LIMIT]
