"""docs/reliability.md has a row for every fault of the catalogue, written from a run of all of them."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vagrant"))

from tests.faults import document, table  # what they import is found by the line above
from tests.faults.catalogue import FAMILIES, FAULTS
from tests.faults.running import Row

ROW = Row("some fault", 250, 40, 4.0, 3.2, 3.3, 5.0, 0.0, {"failover": 2, "minion.lost": 1}, "as expected")


def test_every_fault_stands_in_the_document() -> None:
    """Under its family, in the order of the catalogue, with what an operator sees of it."""
    page = document.PAGE.read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    documented = {cells[0].removeprefix("| "): cells[1] for cells in rows if cells[0] not in ("| fault", "| ---")}
    assert [name for name in documented if name in {fault.name for fault in FAULTS}] == [f.name for f in FAULTS]
    assert [fault.name for fault in FAULTS if not documented[fault.name].startswith(fault.expect)] == []
    assert [f"## {family}" in page for family in FAMILIES] == [True] * len(FAMILIES)


def test_the_document_is_written_from_a_run() -> None:
    """What stands around the tables stays; a run that lacks a fault is refused."""
    rows = {fault.name: dataclasses.replace(ROW, name=fault.name) for fault in FAULTS}
    tables = table.markdown(FAMILIES, rows)
    page = document.rewritten(f"before\n{document.BEGIN}old\n{document.END}after\n", tables)
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "\nold\n" not in page
    assert "| 250 | 40 | 4.0 s | 3.2 s | 3.3 s | 5.0 s | - | 2 failover, 1 minion.lost |" in page
    with pytest.raises(ValueError, match="no place for the tables"):
        document.rewritten("nothing", tables)
    with pytest.raises(ValueError, match=f"no row for: {FAULTS[0].name}"):
        table.markdown(FAMILIES, {})


def test_the_command_refuses_what_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, two files, and a file that is no table; the page is not touched."""
    before = document.PAGE.read_text()
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"rows": [{}]}))
    assert document.main([]) == 2
    assert document.main([str(tmp_path / "none.json")]) == 1
    assert document.main([str(bad)]) == 1
    assert "not the table of a run" in capsys.readouterr().err
    assert document.PAGE.read_text() == before
