"""What setup.cfg says of packages against the tree.

A package that the list lacks works where the checkout is on the path, and is absent from the wheel.
"""

import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def options() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def folders(options: configparser.ConfigParser) -> dict[str, Path]:
    pairs = (line.split("=") for line in lines(options["options"]["package_dir"]))
    return {package.strip(): ROOT / folder.strip() for package, folder in pairs}


def test_every_package_of_the_tree_is_listed(options: configparser.ConfigParser) -> None:
    """Each folder that holds Python is a package, has an __init__.py, and is listed; nothing else is."""
    found = {
        ".".join((name, *file.parent.relative_to(top).parts))
        for name, top in folders(options).items()
        for file in top.rglob("*.py")
    }
    assert sorted(lines(options["options"]["packages"])) == sorted(found)
    for package in found:
        top, *inside = package.split(".")
        assert folders(options)[top].joinpath(*inside, "__init__.py").is_file(), f"{package} has no __init__.py"


def test_every_package_is_typed(options: configparser.ConfigParser) -> None:
    """Each top-level package carries the marker of PEP 561."""
    for folder in folders(options).values():
        assert (folder / "py.typed").is_file()


def test_listed_data_files_exist(options: configparser.ConfigParser) -> None:
    """The systemd units travel with the wheel."""
    listed = [line for value in options["options.data_files"].values() for line in lines(value)]
    assert listed
    for name in listed:
        assert (ROOT / name).is_file(), name


def test_extras_of_one_side_are_not_needed_by_both(options: configparser.ConfigParser) -> None:
    """What the minion's hosts install is what both need and what only the minion needs."""

    def names(text: str) -> set[str]:
        return {line.split(">=")[0].strip().lower() for line in lines(text)}

    both = names(options["options"]["install_requires"])
    extras = {side: names(options["options.extras_require"][side]) for side in ("master", "minion")}
    assert extras["master"].isdisjoint(both | extras["minion"])
    assert extras["minion"].isdisjoint(both)
    assert {"pydantic", "pyyaml", "rich"} <= extras["master"]
