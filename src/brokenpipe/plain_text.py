"""Text of a file or a stranger, made fit to be shown: no control characters, no more than there is room for."""

from __future__ import annotations

import re

GAP = " […] "
# What a terminal obeys or hides instead of showing it: control characters but tab and line feed, marks that change the
# direction of text, separators of lines that are no line feed, and halves of characters.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    r"""The text with each character that a terminal would obey written out, such as \x1b for ESC."""
    return _CONTROLS.sub(lambda found: _escaped(found[0]), text)


def shorten(text: str, most: int) -> str:
    """The text if it has at most so many characters, else its beginning and its end with a gap between them."""
    if len(text) <= most:
        return text
    room = most - len(GAP)
    end = room // 3
    return text[: room - end] + GAP + text[len(text) - end :]


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
