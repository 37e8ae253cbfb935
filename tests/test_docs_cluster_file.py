"""docs/cluster-file.md is kept equal to the model, and every cluster file in the documents to the parser."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lbmaster.cli.main import main
from lbmaster.cli.render_host import host_document, host_page
from lbmaster.offline import Assumptions, host_view
from lbstates.clusterfile import check, parse

from .cluster_fields import SECTIONS, table
from .documents import ROOT, Block, all_blocks, blocks

PAGE = ROOT / "docs" / "cluster-file.md"
GOLDEN = ROOT / "tests" / "states" / "golden"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_documented_as_the_model_has_it(section: str) -> None:
    """Its default, its limits and its description; `python -m tests.cluster_fields` prints what has to be there."""
    assert table(section) in PAGE.read_text()


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=lambda block: block.page)
def test_every_cluster_file_in_the_documents_is_right(block: Block) -> None:
    """Without a warning."""
    checked = check(block.text)
    assert checked.cluster is not None
    assert {finding.severity for finding in checked.findings} <= {"info"}


@pytest.mark.parametrize("block", all_blocks("yaml part"), ids=lambda block: block.page)
def test_every_part_of_a_cluster_file_fits_into_one(block: Block) -> None:
    """Appended to the five-VM cluster."""
    checked = check((GOLDEN / "netology.yaml").read_text() + block.text)
    assert checked.cluster is not None
    assert {finding.severity for finding in checked.findings} <= {"info"}


@pytest.mark.parametrize(
    "text",
    [
        *(block.text for block in all_blocks("yaml")),
        *((GOLDEN / "netology.yaml").read_text() + block.text for block in all_blocks("yaml part")),
    ],
)
def test_every_host_of_a_documented_cluster_can_be_shown(text: str) -> None:
    """What a file means can be derived for each of its hosts, and said."""
    cluster = parse(text, "x")
    for host in (*cluster.directors, *cluster.real_servers):
        view = host_view(cluster, host, Assumptions("eth1"))
        assert host_page(view)
        assert host_document(view)["cluster"] == cluster.cluster


def test_the_page_shows_the_five_vm_cluster() -> None:
    """The one that all golden files come from."""
    shown, golden = (
        check(text).cluster for text in (blocks(PAGE, "yaml")[0].text, (GOLDEN / "netology.yaml").read_text())
    )
    assert shown == golden


@pytest.mark.parametrize("name", ["netology3.keepalived.conf", "netology1.plan", "netology3.plan"])
def test_what_follows_is_shown_as_it_is_rendered(name: str) -> None:
    """The golden files, byte for byte."""
    assert (GOLDEN / name).read_text() in [block.text for block in blocks(PAGE, "text")]


def test_the_wrong_file_is_refused_with_the_words_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly what `lbmaster check` prints."""
    monkeypatch.chdir(tmp_path)
    Path("cluster.yaml").write_text(blocks(PAGE, "yaml wrong")[0].text)
    result = CliRunner().invoke(main, ["check", "cluster.yaml"])
    assert result.exit_code == 2
    assert result.output in [block.text for block in blocks(PAGE, "text")]
