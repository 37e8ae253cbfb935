"""docs/doctor.md says what the doctor says."""

from __future__ import annotations

import re

from click.testing import CliRunner
from tests.documents import ROOT, blocks

from lbminion.cli import _print_symptom
from lbminion.doctor import facts
from lbminion.doctor.configuration import Instance
from lbminion.doctor.listeners import Listener, Wanted, judge
from lbstates.kinds.sync_daemon import SyncDaemon

PAGE = ROOT / "docs" / "doctor.md"


def test_the_example_is_what_is_printed() -> None:
    """For a service that listens on the real server's own address only."""
    (symptom,) = judge([Wanted("tcp", "172.28.128.200", 80)], [Listener("tcp", "172.28.128.10", 80)])
    with CliRunner().isolation() as (output, *_):
        _print_symptom(symptom)
        printed = output.getvalue().decode()
    (example,) = blocks(PAGE, "text")
    assert example.text == f"{printed}1 found.\n"


def test_every_fact_is_in_the_table() -> None:
    """By its first word, in the first column."""
    daemon = SyncDaemon("master", 1, "eth0", 1472, "224.0.0.81", 8848, 1)
    told = (
        facts.of_interfaces({"eth0": "02:00:00:00:00:01"}, [("eth0", "10.0.0.1")])
        | facts.of_instances({"web": Instance("web", vips=("10.0.0.100",))}, {"web"})
        | facts.of_answers({"10.0.0.100": {"02:00:00:00:00:01"}})
        | facts.of_ipvs([], [], [daemon])
        | {"gateways": ""}
    )
    table = PAGE.read_text().partition("| fact |")[2]
    first = " ".join(re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE))
    assert {word.partition(" ")[0] for word in told} <= set(re.findall(r"[a-z]+", first))
