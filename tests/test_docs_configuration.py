"""docs/configuration.md is kept equal to the settings in the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from msgspec import NODEFAULT

import lbmaster.cli.exits
import lbminion.cli
from lbmaster import config as master
from lbmaster.cli.main import main as lbmaster_command
from lbmaster.errors import StartupError
from lbminion import config as minion

from .documents import ROOT, Block, blocks, rows

PAGE = ROOT / "docs" / "configuration.md"


def settings(struct: type[msgspec.Struct], prefix: str = "") -> dict[str, str]:
    """Name -> the default, as the page writes it."""
    return {f"{prefix}{field.name}": written(field.default) for field in msgspec.structs.fields(struct)}


def written(default: Any) -> str:
    if default is NODEFAULT:
        return "required"
    if isinstance(default, tuple):
        return "see below"
    return f"`{json.dumps(str(default) if isinstance(default, Path) else default)}`"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("## The master", settings(master.Config)),
        ("## The minion", settings(minion.Config) | settings(minion.Master, "master.")),
    ],
)
def test_every_setting_is_documented_with_its_default(tmp_path: Path, title: str, expected: dict[str, str]) -> None:
    """In the order of the code; none is left over."""
    section = tmp_path / "section.md"
    section.write_text(PAGE.read_text().partition(title)[2].partition("\n## ")[0])
    assert {name: cells[0] for name, cells in rows(section).items()} == expected


def test_the_page_writes_the_default_reactions_out(tmp_path: Path) -> None:
    """As a file has to have them."""
    file = tmp_path / "master.toml"
    file.write_text(blocks(PAGE, "toml master")[0].text)
    assert master.load(file).reaction == master.DEFAULT_REACTIONS


@pytest.mark.parametrize(
    "block", blocks(PAGE, "toml master") + blocks(PAGE, "toml minion"), ids=lambda block: block.info
)
def test_every_example_is_read(tmp_path: Path, block: Block) -> None:
    """By the loader of its side."""
    file = tmp_path / "example.toml"
    file.write_text(block.text)
    if block.info.endswith("master"):
        master.load(file)
    else:
        minion.read_config(file)


def test_every_environment_variable_of_an_option_is_documented() -> None:
    """Those that click reads."""
    options = [*lbmaster_command.params, *lbminion.cli.main.params]
    names = {str(option.envvar) for option in options if isinstance(option, click.Option) and option.envvar}
    assert names
    assert names <= rows(PAGE).keys()


def test_the_exit_codes_are_those_of_the_code() -> None:
    """Scripts rely on them."""
    page = PAGE.read_text()
    for code, meaning in lbmaster.cli.exits.MEANINGS.items():
        assert f"| {code} | {meaning} |" in page


def test_the_errors_about_settings_name_this_page(tmp_path: Path) -> None:
    """And it exists."""
    file = tmp_path / "master.toml"
    file.write_text("lisen = 1\n")
    with pytest.raises(StartupError, match=r"docs/configuration\.md"):
        master.load(file)
    assert PAGE.is_file()
