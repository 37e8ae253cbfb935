"""The list of attacks in docs/security.md and the tests are equal: each row names tests that exist, and no attack is left out."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.documents import ROOT

PAGE = ROOT / "docs" / "security.md"
ATTACKS = ROOT / "tests" / "attacks"
TABLE = PAGE.read_text().partition("## Attacks that were tried")[2]
ROWS = [line.strip("| ").split(" | ") for line in TABLE.splitlines() if line.startswith("| ") and "`tests/" in line]


@cache
def names_in(file: str) -> frozenset[str]:
    """Name the tests of a file."""
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_names_tests_that_exist(row: list[str]) -> None:
    """Each cell is filled."""
    attack, outcome, tests, others = row
    assert attack
    assert outcome
    assert others
    named = re.findall(r"`(tests/[^`]*)::(test_[a-z0-9_]*)`", tests)
    assert named
    for file, name in named:
        assert name in names_in(file), f"{file}::{name}"


def test_no_attack_is_left_out() -> None:
    """Every test of this folder stands in a row."""
    named = {name for row in ROWS for name in re.findall(r"::(test_[a-z0-9_]*)`", row[2])}
    there = {
        name
        for file in ATTACKS.glob("test_*.py")
        if file.name != "test_matrix.py"
        for name in names_in(str(file.relative_to(ROOT)))
    }
    assert there <= named
