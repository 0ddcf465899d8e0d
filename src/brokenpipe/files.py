"""Reading a file that somebody else may have written: a regular file, of a size that was expected, with plain values.

What a file holds is checked before anything is done with it: how large it is, how deep its values are nested, how many
there are, how long a text and how large a number. Each reader says what is too much for it.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brokenpipe.plain_text import shorten

KEY_CHARACTERS = 100  # of a key that is quoted in an answer

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)
_REASONS = {
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is not there: a part of its path is no folder",
    errno.ELOOP: "is a link that leads to itself",
    errno.ENAMETOOLONG: "has a path that is longer than the system allows",
    errno.EACCES: "may not be read: permission denied",
    errno.EPERM: "may not be read: operation not permitted",
}


class UnfitFile(Exception):
    """A file, or a value in it, is outside of what its reader takes. `key` is empty where it is the whole file."""

    def __init__(self, key: str, found: str, allowed: str) -> None:
        self.key, self.found, self.allowed = shorten(key, KEY_CHARACTERS), shorten(found, 150), allowed
        said = f"found {self.found}; {allowed}" if found else allowed
        super().__init__(f"{self.key}: {said}" if key else said)


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a reader takes. `text` is in characters, `bits` are those of a whole number without its sign.

    `depth` counts tables and lists around a value.
    """

    size_bytes: int
    depth: int
    values: int
    text: int
    bits: int = 63


def describe_missing_file(path: Path) -> str:
    """Why there is no regular file at a path, as words after its name; empty if there is one."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # `Path.is_file` raises for a path that is too long
    except OSError as error:
        return describe_os_error(error)
    except ValueError:  # a NUL in it
        return "has a name that no file can have"
    return _kind(mode)


def describe_missing_folder(path: Path) -> str:
    """Why there is no folder at a path, as words after its name; empty if there is one."""
    why = describe_missing_file(path)
    return "" if why == "is a folder" else why or "is a file, not a folder"


def describe_os_error(error: OSError) -> str:
    """Why the system refused a file, as words after its name."""
    return _REASONS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file. Raises UnfitFile for any other, and for one that is larger than `most` bytes."""
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )  # a pipe without a writer never opens
    except OSError as error:
        raise UnfitFile("", "", describe_os_error(error)) from error
    except ValueError as error:
        raise UnfitFile("", "", "has a name that no file can have") from error
    try:
        if why := _kind(os.fstat(descriptor).st_mode):
            raise UnfitFile("", "", why)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UnfitFile("", "", describe_os_error(error)) from error
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise UnfitFile("", "", f"is larger than {most:,} bytes, the most that is read")
    return content


def check_values(data: object, limits: ReadLimits) -> None:
    """Raises UnfitFile for the first value, or key, that is too deep, too long or too large."""
    for count, (key, depth, value) in enumerate(_values(data)):
        if count > limits.values:
            raise UnfitFile("file", f"more than {limits.values:,} values", "must have fewer")
        if depth > limits.depth:
            raise UnfitFile(key, "", f"is nested too deeply: at most {limits.depth} levels are allowed")
        _check_value(key, value, limits)


def _values(data: object) -> Iterator[tuple[str, int, object]]:
    """Every value and every key, with its place and depth. Without recursion: how deep it goes is not known."""
    waiting: list[tuple[str, int, object]] = [("file", 0, data)]
    while waiting:
        key, depth, value = waiting.pop()
        yield key, depth, value
        if isinstance(value, dict):
            for name, item in reversed(value.items()):
                place = shorten(f"{key}.{name}" if depth else str(name), KEY_CHARACTERS)
                yield place, depth, name
                waiting.append((place, depth + 1, item))
        elif isinstance(value, list | tuple):
            waiting += [
                (shorten(f"{key}[{index}]", KEY_CHARACTERS), depth + 1, item)
                for index, item in reversed([*enumerate(value)])
            ]


def _check_value(key: str, value: object, limits: ReadLimits) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int) and value.bit_length() > limits.bits:
        raise UnfitFile(
            key, f"a whole number of {value.bit_length():,} bits", "is larger than any that is allowed here"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UnfitFile(key, str(value), "must be a finite number")
    if isinstance(value, str):
        if "\x00" in value:
            raise UnfitFile(key, "a NUL character", "must be text without it")
        if len(value) > limits.text:
            raise UnfitFile(
                key, f"a text of {len(value):,} characters", f"at most {limits.text:,} are allowed"
            )


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    return next((words for is_it, words in _KINDS if is_it(mode)), "is not a regular file")
