"""The list of pitfalls is complete: each has a test or a reason, each test names one that exists, and people can read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, rows
from tests.pitfalls.rows import ROWS, Row
from tests.pitfalls.scan import by_pitfall, marks_in

PAGE = ROOT / "docs" / "pitfalls.md"
IDS = [row.id for row in ROWS]
TESTS = by_pitfall()


def test_every_pitfall_stands_once() -> None:
    """In the order of their groups."""
    assert len(set(IDS)) == len(IDS)
    groups = [pitfall[0] for pitfall in IDS]
    assert sorted(groups, key="SRVIH".index) == groups


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_pitfall_has_tests_or_a_reason_why_not(row: Row) -> None:
    """Never both: a reason that a test has overtaken is wrong."""
    assert bool(TESTS.get(row.id)) != bool(row.why_not)
    assert row.where
    assert set(row.where) <= {"file", "made", "live", "docs"}


def test_tests_name_pitfalls_that_exist() -> None:
    """A mark with a mistake in it would hide a row that is not tested."""
    assert TESTS.keys() <= set(IDS)


def test_the_page_says_the_same() -> None:
    """Id, symptom and where of each row."""
    assert rows(PAGE) == {row.id: [row.symptom, ", ".join(row.where)] for row in ROWS}


def test_the_list_is_printed_for_people() -> None:
    """As CI does it; 0, since each row has what it needs."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pitfalls"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].endswith(" 0 without a test or a reason")
    assert all(f"\n{pitfall:<4} " in f"\n{done.stdout}" for pitfall in IDS)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ('@pytest.mark.pitfall("R2")\ndef test_a(): ...', ["R2"]),
        (
            '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.pitfall("V1"))])\nasync def test_a(): ...',
            ["V1"],
        ),
        ("class TestIt:\n    def test_s4_v11_never(self): ...", ["S4", "V11"]),
        ("def test_r(): ...\ndef test_i18n(): ...\ndef test_h2o_s(): ...\ndef v1_test(): ...", []),
        ('@pytest.mark.pitfall("R2")\ndef helper(): ...', []),
    ],
)
def test_what_names_a_pitfall(source: str, named: list[str]) -> None:
    """A mark on a test or on one of its parameters, and the test's own name."""
    assert [pitfall for pitfall, _ in marks_in(source)] == named


def test_s9_what_inactconn_counts_is_explained_where_it_is_shown() -> None:
    """On the page of the columns, to which the command points."""
    from lbmaster.cli.stats import stats

    page = (ROOT / "docs" / "columns.md").read_text()
    assert "## InActConn is no count of errors" in page
    assert "InActConn" in (stats.help or "")


def test_v10_a_virtual_mac_is_never_asked_for() -> None:
    """Hypervisors filter it, and nothing here needs it."""
    assert "use_vmac" not in Path(ROOT, "states", "lbstates", "keepalived_conf.py").read_text()
