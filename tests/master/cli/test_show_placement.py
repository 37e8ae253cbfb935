from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.master.cli.conftest import Run

from lbmaster.cli.page import Line, Table
from lbmaster.cli.render_placement import Instance, Placement, placement_page


def cluster_file(directors: int, vips: int) -> str:
    """A cluster with directors d1, d2, ... and VIPs web1, web2, ..."""
    hosts = ", ".join(f"d{i}: 10.0.1.{i}" for i in range(1, directors + 1))
    addresses = ", ".join(f"web{i}: 10.0.0.{i}/16" for i in range(1, vips + 1))
    services = "".join(f"  - {{vip: web{i}, port: 80}}\n" for i in range(1, vips + 1))
    return (
        f"cluster: shop\ndirectors: {{{hosts}}}\nreal_servers: {{r1: 10.0.2.1}}\n"
        f"vips: {{{addresses}}}\nservices:\n{services}"
    )


def test_three_balancers_that_all_work(run: Run) -> None:
    """Each has its own VIP and stands in for the others, said by name; offline."""
    result = run("show", "placement", "-", text=cluster_file(3, 3))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Cluster shop: 3 VIPs on 3 directors",
        "INSTANCE\tVRID\tVIP\tHOME\tSECOND\tTHIRD",
        "web1\t1\t10.0.0.1/16\td1\td2\td3",
        "web2\t2\t10.0.0.2/16\td2\td3\td1",
        "web3\t3\t10.0.0.3/16\td3\td1\td2",
        "",
        "Who holds what while whom is dead (+ what it took over):",
        "DEAD\td1\td2\td3",
        "nobody\tweb1\tweb2\tweb3",
        "d1\tdead\tweb2 +web1\tweb3",
        "d2\tweb1\tdead\tweb3 +web2",
        "d3\tweb1 +web3\tweb2\tdead",
        "d1 d2\tdead\tdead\tweb3 +web1 +web2",
        "d1 d3\tdead\tweb2 +web1 +web3\tdead",
        "d2 d3\tweb1 +web2 +web3\tdead\tdead",
    ]


def test_many_vips_are_counted(run: Run) -> None:
    """A row per dead director, and how even all sets of dead directors are."""
    lines = run("show", "placement", "-", text=cluster_file(8, 64)).stdout.splitlines()

    assert lines[1].split("\t") == ["INSTANCE", "VRID", "VIP", "HOME", "SECOND", "THIRD", "THEN"]
    assert len(lines[2].split("\t")[6].split()) == 5
    deaths = lines.index("DEAD\td1\td2\td3\td4\td5\td6\td7\td8")
    assert lines[deaths + 1] == "nobody" + "\t8" * 8
    assert lines[deaths + 2].startswith("d1\tdead\t8 +2\t8 +1")
    table = lines.index("DEAD DIRECTORS\tFEWEST\tMOST\tLARGEST DIFFERENCE")
    assert lines[table + 1] == "0\t8\t8\t0"
    assert lines[table + 2] == "1\t9\t10\t1"
    assert lines[-1] == "7\t64\t64\t0"


def test_one_director_has_everything(run: Run) -> None:
    """There is nobody to take over."""
    lines = run("show", "placement", "-", text=cluster_file(1, 2)).stdout.splitlines()

    assert lines[1] == "INSTANCE\tVRID\tVIP\tHOME"
    assert lines[-2:] == ["DEAD\td1", "nobody\tweb1 web2"]


def test_json_has_the_orders_and_the_loads(run: Run) -> None:
    """For programs."""
    document = json.loads(run("show", "placement", "--json", "-", text=cluster_file(3, 3)).stdout)

    assert document["cluster"] == "shop"
    assert document["instances"]["web2"] == {
        "virtual_router_id": 2,
        "vips": ["10.0.0.2/16"],
        "order": ["d2", "d3", "d1"],
    }
    assert document["loads"][:2] == [
        {"dead": [], "vips": {"d1": 1, "d2": 1, "d3": 1}},
        {"dead": ["d1"], "vips": {"d2": 2, "d3": 1}},
    ]


def test_a_wrong_file_exits_2_with_its_findings(run: Run) -> None:
    """As check says them."""
    result = run("show", "placement", "-", text=cluster_file(3, 3).replace("10.0.0.2/16", "10.0.0.1/16"))

    assert result.exit_code == 2
    assert "-:4: error: " in result.stderr
    assert "- cannot be used" in result.stderr


def test_a_file_that_is_not_there_exits_2(run: Run) -> None:
    """By name."""
    result = run("show", "placement", "/nowhere/cluster.yaml")

    assert (result.exit_code, "cannot read /nowhere/cluster.yaml" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", [["placement"], ["placement", "a", "b"], []])
def test_what_to_show_must_be_said(run: Run, words: list[str]) -> None:
    """With the form that is right."""
    result = run("show", *words)

    assert (result.exit_code, "Usage: " in result.stderr) == (2, True)


def test_before_shows_what_a_changed_file_would_move(run: Run, tmp_path: Path) -> None:
    """A fourth director takes its share, one VIP of four; the others stay, and so do VRIDs."""
    before = tmp_path / "cluster.yaml"
    before.write_text(cluster_file(3, 4))

    lines = run("show", "placement", "-", "--before", str(before), text=cluster_file(4, 4)).stdout.splitlines()

    assert lines[-2] == "1 VIP to move:"
    assert lines[-1].endswith("-> d4")


def test_before_shows_that_nothing_moves(run: Run, tmp_path: Path) -> None:
    """Another order of the file: the answer of a push, not that of a new cluster."""
    text = cluster_file(3, 3)
    before = tmp_path / "cluster.yaml"
    before.write_text(text.replace("d1: 10.0.1.1, d2: 10.0.1.2", "d2: 10.0.1.2, d1: 10.0.1.1"))

    result = run("show", "placement", "-", "--before", str(before), text=text)
    document = json.loads(run("show", "placement", "--json", "-", "--before", str(before), text=text).stdout)

    assert result.stdout.splitlines()[-1] == "No VIP moves."
    assert document["moves"] == {}
    assert document["instances"]["web1"]["order"][0] == "d2"


def test_only_one_file_can_be_standard_input(run: Run) -> None:
    """It can be read once."""
    result = run("show", "placement", "-", "--before", "-", text=cluster_file(3, 3))

    assert (result.exit_code, "only one of the files" in result.stderr) == (2, True)


def test_what_a_change_moves_is_listed() -> None:
    """Instances that were not there before move nowhere."""
    before = Placement("shop", ("d1",), (Instance("web1", 1, ("10.0.0.1/16",), ("d1",)),))
    now = Placement(
        "shop",
        ("d1", "d2"),
        (
            Instance("web1", 1, ("10.0.0.1/16", "10.0.0.3/16"), ("d2", "d1")),
            Instance("web2", 2, ("10.0.0.2/16",), ("d1", "d2")),
        ),
    )

    assert [part.text for part in placement_page(now, before)[-2:] if isinstance(part, Line)] == [
        "2 VIPs to move:",
        "web1 (10.0.0.1/16 10.0.0.3/16): d1 -> d2",
    ]
    assert placement_page(now, now)[-1] == Line("No VIP moves.", "good")


def test_with_very_many_directors_not_every_set_is_looked_at() -> None:
    """Twenty-four directors: nobody dead, one, two, and the same number alive."""
    names = tuple(f"d{i}" for i in range(24))
    page = placement_page(Placement("shop", names, (Instance("web", 1, ("10.0.0.1/16",), names),)))
    table = page[-1]

    assert isinstance(table, Table)
    assert [row[0].text for row in table.rows] == ["0", "1", "2", "22", "23"]
