"""What a broken file says of itself: the comments at its head, and whether an answer keeps to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.unit.shell import Answer

_KEY, _SAYS = "# key: ", "# says: "


@dataclass(frozen=True)
class Expected:
    """`keys`: one for each mistake in the file. `words`: what must stand on stderr."""

    keys: tuple[str, ...]
    words: tuple[str, ...]


def expected_of(path: Path) -> Expected:
    """From `# key:` and `# says:` at the head of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    keys = tuple(line.removeprefix(_KEY) for line in lines if line.startswith(_KEY))
    words = tuple(line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS))
    assert keys, f"{path} does not say what is wrong with it"
    assert words, f"{path} does not say what a user must be told"
    return Expected(keys, words)


def assert_says(answer: Answer, expected: Expected) -> None:
    """Each key and no other, and all the words."""
    count = "1 problem" if len(expected.keys) == 1 else f"{len(expected.keys)} problems"
    assert f".toml: {count} " in answer.said, answer.err
    for key in expected.keys:
        assert f"\n  {key}: " in answer.err, answer.err
    for words in expected.words:
        assert words in answer.said, answer.err
