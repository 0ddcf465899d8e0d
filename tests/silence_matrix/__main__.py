"""`python -m tests.silence_matrix`: measure every cell, print the tables and write docs/silence.md.

`--json FILE` writes the cells there instead, `--limit S` says how long to wait for an error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.silence_matrix.measuring import REPOSITORY, measure
from tests.silence_matrix.page import page

from brokenpipe.stack.packet_loss import namespace
from brokenpipe.stack.proxy.toolchain import toxiproxy_binary


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.silence_matrix")
    options.add_argument("--json", type=Path)
    options.add_argument("--limit", type=float, default=20.0)
    asked = options.parse_args()
    if not namespace.is_inside():
        toxiproxy_binary(REPOSITORY / "proxies")
        namespace.enter([sys.executable, "-m", "tests.silence_matrix", *sys.argv[1:]])
    namespace.set_up()
    with tempfile.TemporaryDirectory(prefix="silence-") as folder:
        cells = measure(Path(folder), asked.limit)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(cell) for cell in cells]))
        return
    text = page(cells, asked.limit)
    (REPOSITORY / "docs" / "silence.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
