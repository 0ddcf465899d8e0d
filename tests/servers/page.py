"""The table of servers and pools in docs/witness.md. `python -m tests.servers.page` writes it anew."""

from __future__ import annotations

from pathlib import Path

from .combinations import COMBINATIONS, Combination, Sight

PAGE = Path(__file__).parents[2] / "docs" / "witness.md"

BEGIN = "<!-- The table of tests/servers begins: python -m tests.servers.page writes it. -->\n"
END = "<!-- It ends. -->\n"


def with_table(text: str) -> str:
    """The page `text` with the table of today."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + _table() + END + after


def _table() -> str:
    head = f"| server | interface | pool | {' | '.join(Sight)} |\n|---|---|---|{'---|' * len(Sight)}\n"
    return head + "".join(_row(combination) for combination in COMBINATIONS)


def _row(each: Combination) -> str:
    cells = " | ".join(f"– ({each.unseen[sight]})" if sight in each.unseen else "✓" for sight in Sight)
    return f"| {each.server} | {each.interface} | {each.pool} | {cells} |\n"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
