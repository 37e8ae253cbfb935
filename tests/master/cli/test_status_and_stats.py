from __future__ import annotations

import json
from typing import Any

import pytest
from tests.master.cli import examples
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master


def rows(output: str, header: str) -> list[dict[str, str]]:
    """The rows of the table that begins with this column, by column name."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split("\t")[0] == header)
    names = lines[start].split("\t")
    found = []
    for line in lines[start + 1 :]:
        if "\t" not in line:
            break
        found.append(dict(zip(names, line.split("\t"), strict=True)))
    return found


def test_status_in_a_pipe_has_columns_separated_by_one_tab(master: Master, run: Run) -> None:
    """Nothing shortened, "-" for what is empty: a script can rely on it."""
    director = examples.host(role="director", roles={"web": {"state": "MASTER", "priority": 150}}, keepalived="2.2.7")
    master.answers["status"] = [{"result": examples.status(netology1=examples.host(), netology3=director)}]

    result = run("status")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "Cluster netology: generation 7, 2 hosts, all as they shall be",
        "VIP\tINSTANCE\tHOLDER",
        "172.28.128.200/24\tweb\tnetology3",
        "",
        "HOST\tROLE\tSEEN\tGENERATION\tVRRP\tDRIFT\tKEEPALIVED\tNOTE",
        "netology1\trealserver\t400 ms ago\t7\t-\tnone\t-\t-",
        "netology3\tdirector\t400 ms ago\t7\tweb MASTER\tnone\t2.2.7\t-",
    ]


@pytest.mark.parametrize(
    ("fields", "column", "expected"),
    [
        ({"online": False, "last_seen": 12.0}, "SEEN", "LOST 12.0 s ago"),
        ({"online": False, "last_seen": None}, "SEEN", "LOST never seen"),
        ({"drift": 2}, "DRIFT", "DRIFT 2"),
        ({"applied": 6}, "GENERATION", "6 OF 7, 7 staged"),
        ({"roles": {"web": {"state": "unknown", "priority": 0}}}, "VRRP", "web UNKNOWN"),
        ({"roles": {"web": {"state": "FAULT", "priority": 150}}}, "VRRP", "web FAULT"),
        ({"keepalived": "stopped"}, "KEEPALIVED", "STOPPED"),
        ({"keepalived": "not running"}, "KEEPALIVED", "NOT RUNNING"),
    ],
)
def test_what_is_wrong_with_a_host_is_in_capitals(
    master: Master, run: Run, fields: dict[str, Any], column: str, expected: str
) -> None:
    """In its column, and counted in the cluster's line."""
    master.answers["status"] = [{"result": examples.status(netology3=examples.host(**fields))}]

    output = run("status").stdout

    assert rows(output, "HOST")[0][column] == expected
    assert "1 NOT AS IT SHALL BE" in output


@pytest.mark.parametrize(
    ("vip", "expected"),
    [
        ({"instance": "web", "holder": None, "masters": []}, "UNKNOWN"),
        (
            {"instance": "web", "holder": "netology3", "masters": ["netology3", "netology4"]},
            "SPLIT BRAIN: netology3, netology4",
        ),
    ],
)
def test_a_vip_without_one_holder_is_loud(master: Master, run: Run, vip: dict[str, Any], expected: str) -> None:
    """Nobody known, or two at once."""
    master.answers["status"] = [{"result": examples.status(vip)}]

    assert rows(run("status").stdout, "VIP")[0]["HOLDER"] == expected


def test_a_cluster_with_two_masters_is_not_all_as_it_shall_be(master: Master, run: Run) -> None:
    """Every host may be in order by itself, and the cluster is not."""
    vip = {"instance": "web", "holder": "netology3", "masters": ["netology3", "netology4"]}
    master.answers["status"] = [{"result": examples.status(vip)}]

    assert "all as they shall be" not in run("status").stdout


def test_status_names_what_is_in_no_cluster_and_a_push_on_its_way(master: Master, run: Run) -> None:
    """Both are easily overlooked."""
    answer = examples.status()
    answer["unassigned"] = ["netology9"]
    answer["clusters"]["netology"]["rollout"] = {"generation": 8, "phase": "staging"}
    master.answers["status"] = [{"result": answer}]

    output = run("status").stdout

    assert "In no cluster: netology9" in output
    assert "A push is on its way: generation 8 (staging)" in output


def test_status_before_the_first_push_says_what_to_do(master: Master, run: Run) -> None:
    """An empty table would say nothing."""
    master.answers["status"] = [{"result": {"time": 0.0, "clusters": {}, "unassigned": []}}]

    assert "lbmaster push FILE" in run("status").stdout


def test_status_of_one_cluster_asks_for_it(master: Master, run: Run) -> None:
    """An unknown one is the master's to refuse."""
    master.answers["status"] = [{"error": {"kind": "unknown_cluster", "text": "no cluster nope; there is netology"}}]

    result = run("status", "nope")

    assert (result.exit_code, result.stderr) == (1, "Error: no cluster nope; there is netology\n")
    assert master.requests == [{"verb": "status", "cluster": "nope"}]


def test_stats_are_summed_over_directors_and_shown_for_each(master: Master, run: Run) -> None:
    """A service has the connections of its destinations: the kernel counts them per destination only."""
    master.answers["stats"] = [{"result": examples.STATS}]

    result = run("stats")

    found = rows(result.stdout, "SERVICE")
    assert result.exit_code == 0
    assert [(row["DESTINATION"], row["DIRECTOR"], row["Conns"], row["ActiveConn"], row["InActConn"]) for row in found] == [
        ("-", "all", "55", "3", "52"),
        ("-", "netology3", "50", "3", "47"),
        ("-", "netology4", "5", "0", "5"),
        ("172.28.128.10:80", "all", "28", "1", "27"),
        ("172.28.128.10:80", "netology3", "25", "1", "24"),
        ("172.28.128.10:80", "netology4", "3", "0", "3"),
        ("172.28.128.20:80", "all", "27", "2", "25"),
        ("172.28.128.20:80", "netology3", "25", "2", "23"),
        ("172.28.128.20:80", "netology4", "2", "0", "2"),
    ]  # fmt: skip
    assert list(found[0])[4:] == ["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes", "ActiveConn", "InActConn"]
    assert found[0]["InBytes"] == "20000"


def test_stats_rate_shows_rates(master: Master, run: Run) -> None:
    """Instead of counters."""
    master.answers["stats"] = [{"result": examples.STATS}]

    first = rows(run("stats", "--rate").stdout, "SERVICE")[0]

    assert list(first)[4:9] == ["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]
    assert first["CPS"] == "9"


def test_old_and_missing_figures_are_named(master: Master, run: Run) -> None:
    """A sum with a director missing must not pass for the whole."""
    directors = {"netology3": {"age": 12.0}, "netology4": {"age": None}}
    master.answers["stats"] = [{"result": {"clusters": {"netology": directors}}}]

    output = run("stats").stdout

    assert "netology3: LOST: its figures are 12.0 s old" in output
    assert "netology4: UNKNOWN: it has sent no figures" in output


def test_stats_help_says_that_inactconn_is_no_count_of_errors(run: Run) -> None:
    """Pitfall S9."""
    assert "no count of errors" in " ".join(run("stats", "--help").stdout.split())


@pytest.mark.parametrize(("verb", "answer"), [("status", examples.status()), ("stats", examples.STATS)])
def test_json_is_the_masters_answer(master: Master, run: Run, verb: str, answer: dict[str, Any]) -> None:
    """Unchanged."""
    master.answers[verb] = [{"result": answer}]

    assert json.loads(run(verb, "--json").stdout) == answer


def test_reconcile_shows_what_was_healed(master: Master, run: Run) -> None:
    """Exit code 0 when every host answered and nothing remains."""
    hosts = {"netology1": {"healed": [examples.ADD], "remaining": 0}, "netology2": {"healed": [], "remaining": 0}}
    master.answers["reconcile"] = [{"result": {"cluster": "netology", "hosts": hosts}}]

    result = run("reconcile", "netology")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "netology1: healed",
        "  + address lo 172.28.128.200/32",
        "netology2: as it shall be",
    ]


@pytest.mark.parametrize(("host", "word"), [({"silent": True}, "SILENT"), ({"healed": [], "remaining": 1}, "DRIFT")])
def test_reconcile_fails_when_a_host_is_silent_or_not_healed(
    master: Master, run: Run, host: dict[str, Any], word: str
) -> None:
    """Exit code 1, and the host is named."""
    master.answers["reconcile"] = [{"result": {"cluster": "netology", "hosts": {"netology1": host}}}]

    result = run("reconcile", "netology")

    assert (result.exit_code, f"netology1: {word}" in result.stdout) == (1, True)
