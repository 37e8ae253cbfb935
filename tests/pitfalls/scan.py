"""Which tests name which pitfall, read from their source: also those that only run inside a guest.

A test names a pitfall by `@pytest.mark.pitfall("R2")`, on itself or on one of its parameters, or by its own name
(`test_r2_...`, `test_s4_s5_...`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
_NAMED = re.compile(r"^test((?:_[srvih]\d+)+)(?:_|$)")


def by_pitfall() -> dict[str, list[str]]:
    """Find every test that names a pitfall: id -> node ids from the root of the repository, in the order of files."""
    found: dict[str, list[str]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        for pitfall, name in marks_in(file.read_text()):
            found.setdefault(pitfall, []).append(f"{file.relative_to(TESTS.parent)}::{name}")
    return {pitfall: list(dict.fromkeys(nodes)) for pitfall, nodes in found.items()}


def marks_in(source: str) -> Iterator[tuple[str, str]]:
    """Find the tests of one file that name pitfalls: (id, name of the test)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            named = _NAMED.match(node.name)
            for word in named[1].upper().split("_")[1:] if named else ():
                yield word, node.name
            for decorator in node.decorator_list:
                for pitfall in _marks(decorator):
                    yield pitfall, node.name


def _marks(decorator: ast.expr) -> Iterator[str]:
    for node in ast.walk(decorator):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pitfall":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))
