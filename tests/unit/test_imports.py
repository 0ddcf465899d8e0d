"""Imports of the witness, which import-linter does not see: it is no package of ours, but of its services."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import brokenpipe.witness

NAME = "brokenpipe_witness"
PACKAGE = Path(brokenpipe.witness.__file__).parent / "site" / NAME


def _imported(path: Path) -> set[str]:
    """The modules of the witness that a module of it imports, wherever in its text."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or node.module == NAME):
            found |= {node.module or ""} if node.level and node.module else {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{NAME}."):
            found.add(str(node.module).removeprefix(f"{NAME}."))
        elif isinstance(node, ast.Import):
            found |= {each.name.removeprefix(f"{NAME}.") for each in node.names}
    return found


def test_no_module_of_the_witness_imports_itself_by_way_of_others() -> None:
    """Its modules can be put in an order in which each imports earlier ones only."""
    modules = {path.stem: path for path in PACKAGE.glob("*.py")}
    graph = {name: _imported(path) & modules.keys() for name, path in modules.items()}
    assert sum(map(len, graph.values())) > len(graph)  # imports were found
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)
