"""docs/import.md: its example is what the command prints, and its table knows every keyword that is imported."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbmaster.cli.main import main
from lbstates.importing.keepalived import _GLOBAL
from lbstates.importing.keepalived_lvs import _REAL_SERVER, _SERVICE
from lbstates.importing.keepalived_vrrp import _GROUP, _TABLE
from lbstates.importing.remarks import _SEVERITIES

from .documents import ROOT, blocks, rows

PAGE = ROOT / "docs" / "import.md"


def only(info: str) -> str:
    (block,) = blocks(PAGE, info)
    return block.text


def test_the_example_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files in, the report and the cluster file out."""
    for name in ("lb1.conf", "lb2.conf"):
        (tmp_path / name).write_text(only(f"text {name}"))
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, shlex.split(only("sh").replace("\\\n", " "))[1:])

    assert result.stdout == only("text report")
    assert (tmp_path / "cluster.yaml").read_text() == only("yaml")
    assert result.exit_code == 0


@pytest.mark.parametrize("table", [_GLOBAL, _TABLE, _GROUP, _SERVICE, _REAL_SERVER], ids=lambda table: table.where)
def test_every_keyword_that_is_imported_is_documented(table: object) -> None:
    """Keywords of global_defs that repeat one of an instance are told by their prefix."""
    known = set(re.findall(r"`([A-Za-z0-9_-]+)`", PAGE.read_text()))
    unnecessary = {"hashed"}

    fields = {keyword.removeprefix("vrrp_") if "garp_" in keyword else keyword for keyword in table.fields}  # type: ignore[attr-defined]
    assert fields - known - unnecessary == set()


def test_every_fate_is_documented_with_its_severity() -> None:
    found = rows(PAGE)

    assert {fate: found[fate][0] for fate in _SEVERITIES} == _SEVERITIES
