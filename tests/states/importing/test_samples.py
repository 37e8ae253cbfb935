"""keepalived's own samples: each becomes a cluster file that is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.states.importing.conftest import Import

from lbstates.clusterfile import check

SAMPLES = sorted((Path(__file__).parent / "samples").glob("keepalived.conf.*"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name.removeprefix("keepalived.conf."))
def test_a_sample_is_imported(keepalived: Import, sample: Path) -> None:
    """`check` finds no error in the result, and every keyword is known."""
    imported = keepalived(sample.read_text(), addresses={"d1": ["172.16.0.1"]})

    assert [one for one in check(imported.text).findings if one.severity == "error"] == []
    assert [one for one in imported.remarks if one.fate == "unknown" and "VI_" not in one.keyword] == []


def test_there_are_samples_with_and_without_services() -> None:
    """So that the test above is about something."""
    assert len(SAMPLES) > 20


def test_every_virtual_server_of_the_big_group_is_there(keepalived: Import) -> None:
    """Ranges and marks; the real server that has a VIP's address is the one error."""
    (sample,) = (path for path in SAMPLES if path.name.endswith("virtual_server_group"))

    imported = keepalived(sample.read_text())

    assert len(yaml.safe_load(imported.text)["services"]) == 13
    assert [one.place.line for one in imported.remarks if one.fate == "wrong"] == [29]
