"""Whole clusters: what every host shall have, down to the last line. `golden/` holds the clusters and what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbstates.plan import diff, index

from .golden_clusters import FOLDERS, plans_of, resources_of


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_host_gets_what_is_written_down_for_it(folder: Path) -> None:
    """The plan of an empty host, and the whole keepalived.conf of a director; no host more, none less."""
    written = {
        file.stem: (file.read_text(), _text(folder / f"{file.stem}.keepalived.conf")) for file in folder.glob("*.plan")
    }
    assert plans_of(folder) == written


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_host_is_not_two_things_at_once(folder: Path) -> None:
    """Also not one that is director and real server: all of its resources go together, and nothing has to be done twice."""
    for resources in resources_of(folder).values():
        there = index(resources)
        assert diff(there, there, {}) == ()


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""
