"""Damage, drawn by chance: to values of any kind, to TOML files, and to folders of recorded experiments.

Everything is a function of a `random.Random`: the same seed, the same damage.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2066\r\n::error::forged"
STRANGE_BYTES = (b"\x00", b"\xff\xfe", b"\x1b[2J", b"\n\n", b'"', b"]" * 50)
STRANGE_LINES = (
    "null", "[]", "5", "{}", "{", "\x00\x00", '{"k": 5}', '{"k": "end", "ms": NaN}', '{"k": "phase"}',
    '{"a": ' * 400 + "1" + "}" * 400, "\ufeff{}",
)  # fmt: skip
MARKUP = "[/red][link=x]</script><script>"


def strange_value(draw: random.Random) -> Any:
    """A value that nobody expects where it stands."""
    return draw.choice([
        None, True, "", "x" * draw.choice([1, 300, 5000]), ESCAPES, MARKUP, "nan", "1e999", "../../etc/passwd",
        0, -1, 1, 0.5, -0.0, 2**31 - 1, 2**31, 2**53, 9 * 10**18, 2**63, -(2**63) - 1, 10**25, 1e18, -1e18, 1e308,
        [], {}, [None], [[]], {"": None}, {"t": "x", "where": 5}, [{"t": 1, "where": {"a": []}, "chain": 5}],
        _nested(draw.choice([3, 30, 300])),
    ])  # fmt: skip


def _nested(depth: int) -> Any:
    value: Any = 1
    for n in range(depth):
        value = [value] if n % 2 else {"a": value}
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in it, with a key or index that can be changed."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        items = each.items() if isinstance(each, dict) else enumerate(each) if isinstance(each, list) else ()
        for key, item in items:
            found.append((each, key))
            waiting.append(item)
    return found


def change_value(draw: random.Random, document: Any) -> Any:
    """The document with one to three changes: another value, a key that is gone, is new, or is called otherwise."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        places = _places(document)
        if not places:
            return strange_value(draw)
        container, key = draw.choice(places)
        what = draw.choice(["value", "value", "value", "delete", "rename", "add", "swap"])
        if what == "delete":
            del container[key]
        elif what == "rename" and isinstance(container, dict):
            container[draw.choice([str(key) + "_", ESCAPES, "", "x" * 400, str(key).upper()])] = (
                container.pop(key)
            )
        elif what == "add" and isinstance(container, dict):
            container[draw.choice(["more", "t", "k", "arm", "phase"])] = strange_value(draw)
        elif what == "swap" and isinstance(container, dict):
            other = draw.choice([*container])
            container[key], container[other] = container[other], container[key]
        else:
            container[key] = strange_value(draw)
    return document


def change_bytes(draw: random.Random, content: bytes) -> bytes:
    """The content with bytes that were lost, came, or became others."""
    what = draw.choice(["flip", "cut", "insert", "repeat", "nothing left", "not text"])
    at = draw.randrange(len(content) + 1)
    to = min(len(content), at + draw.choice([1, 5, 100, 5000]))
    return {
        "flip": content[:at] + bytes(draw.randrange(256) for _ in content[at:to]) + content[to:],
        "cut": content[:at] + content[to:],
        "insert": content[:at] + draw.choice(STRANGE_BYTES) + content[at:],
        "repeat": content[:to] + content[at:to] + content[to:],
        "nothing left": b"",
        "not text": bytes(draw.randrange(256) for _ in range(draw.choice([1, 100, 5000]))),
    }[what]  # fmt: skip


# --- TOML -----------------------------------------------------------------------------------------------


def toml_of(document: Any) -> str:
    """A document as TOML, all values inline; what TOML cannot say, such as null, as text."""
    if not isinstance(document, dict):
        return f"value = {_inline(document)}\n"
    return "".join(f"{_key(key)} = {_inline(value)}\n" for key, value in document.items())


def _key(key: object) -> str:
    return json.dumps(str(key))


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps("null" if value is None else str(value))


def damage_toml(draw: random.Random, document: dict[str, Any], text: str) -> bytes:
    """A TOML file that was right, with something wrong in it, or far too much of it."""
    what = draw.choice(["values", "values", "values", "values", "bytes", "bytes", "size", "lines"])
    if what == "values":
        return toml_of(change_value(draw, json.loads(json.dumps(document)))).encode("utf-8", "surrogatepass")
    if what == "bytes":
        return change_bytes(draw, text.encode())
    if what == "lines":
        lines = text.splitlines()
        draw.shuffle(lines)
        return "\n".join(lines).encode()
    return (_oversized(draw) + text).encode()


def _oversized(draw: random.Random) -> str:
    n = draw.choice([50, 1000, 30_000])
    return draw.choice([
        lambda: "".join(f"key_{i} = {i}\n" for i in range(n)),
        lambda: f"seed = {'9' * n}\n",
        lambda: f"seed = 0x{'f' * n}\n",
        lambda: f"seed = 1e{'9' * n}\n",
        lambda: f"title = \"{'x' * n}\"\n",
        lambda: f"title = {'[' * n}\n",
        lambda: ".".join(["a"] * n) + " = 1\n",
        lambda: f"[{'.'.join(['a'] * n)}]\n",
        lambda: f"env = {{ {', '.join(f'V{i} = 5' for i in range(n))} }}\n",
        lambda: "#" + "x" * n + "\n",
        lambda: "\n" * n,
    ])()  # fmt: skip


# --- report folders -------------------------------------------------------------------------------------


def damage_folder(draw: random.Random, folder: Path) -> str:
    """Damage one to three files of a report folder. What was done, in a few words."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return "; ".join(_damage_file(draw, path) for path in draw.sample(files, k=draw.choice([1, 1, 2, 3])))


def _damage_file(draw: random.Random, path: Path) -> str:
    ways: list[Callable[[random.Random, Path], str]] = [_other_bytes, _other_file]
    ways += [_other_lines] * 6 if path.suffix == ".ndjson" else [_other_values] * 4
    return f"{path.name}: {draw.choice(ways)(draw, path)}"


def _other_bytes(draw: random.Random, path: Path) -> str:
    path.write_bytes(change_bytes(draw, path.read_bytes()))
    return "other bytes"


def _other_file(draw: random.Random, path: Path) -> str:
    what = draw.choice(["gone", "a folder", "a link to nothing", "a link to itself", "a pipe", "a device"])
    path.unlink()
    if what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what != "gone":
        path.symlink_to(
            {"a link to nothing": "gone", "a link to itself": path.name, "a device": "/dev/zero"}[what]
        )
    return what


def _other_values(draw: random.Random, path: Path) -> str:
    document = json.loads(path.read_text(encoding="utf-8"))
    changed = json.dumps(change_value(draw, document))
    if draw.random() < 0.1:
        changed = changed.replace("{", '{"twice": 1, "twice": 2, ', 1)
    if draw.random() < 0.1:
        changed = draw.choice(["null", "[]", "5", '"text"', "NaN", "[" * 5000, "1" * 5000, "{}"])
    path.write_text(changed, encoding="utf-8")
    return "other values"


def _other_lines(draw: random.Random, path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines:
        return "empty"
    what = draw.choice(["values"] * 4 + [*_LINES])
    _LINES[what](draw, lines, draw.randrange(len(lines)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"lines {what}"


def _line_values(draw: random.Random, lines: list[str], at: int) -> None:
    for n in {at, *draw.choices(range(len(lines)), k=draw.choice([0, 0, 3]))}:
        lines[n] = json.dumps(change_value(draw, json.loads(lines[n])))


def _lines_gone(draw: random.Random, lines: list[str], at: int) -> None:
    del lines[at : at + draw.choice([1, 3, len(lines)])]


def _lines_twice(draw: random.Random, lines: list[str], at: int) -> None:
    lines[at:at] = lines[at : at + draw.choice([1, 3, len(lines)])]


def _line_huge(draw: random.Random, lines: list[str], at: int) -> None:
    lines.insert(at, '{"k": "end", "error": "' + "x" * draw.choice([10_000, 2_000_000]) + '"}')


def _line_backwards(draw: random.Random, lines: list[str], at: int) -> None:
    lines[at] = lines[at].replace('"t":', '"t":-').replace('"t0":', '"t1":').replace('"ms":', '"ms":-')


_LINES: dict[str, Callable[[random.Random, list[str], int], None]] = {
    "values": _line_values,
    "gone": _lines_gone,
    "twice": _lines_twice,
    "order": lambda draw, lines, _at: draw.shuffle(lines),
    "huge": _line_huge,
    "backwards": _line_backwards,
    "strange": lambda draw, lines, at: lines.insert(at, draw.choice(STRANGE_LINES)),
}


def copy_folder(source: Path, to: Path) -> Path:
    """A copy to be damaged."""
    shutil.copytree(source, to)
    return to
