from __future__ import annotations

import json
import re

import pytest
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master

from lbmaster.cli.sentences import SENTENCES, sentence
from lbwire.event_types import EVENT_TYPES

FAILOVER = {
    "instance": "web", "vips": ["172.28.128.200/24"], "source": "netology3", "target": "netology4", "seconds": 0.021,
    "healed": {"netology1": [{"kind": "address", "verb": "add", "identity": "lo 172.28.128.200/32"}]}, "silent": [],
}  # fmt: skip


def test_every_type_of_event_has_a_sentence() -> None:
    """A new type is one more line in the table."""
    assert SENTENCES.keys() == EVENT_TYPES.keys()


def test_a_failover_reads_as_a_sentence() -> None:
    """From, to, duration, what was healed."""
    assert sentence("failover", FAILOVER) == (
        "web (172.28.128.200/24) moved from netology3 to netology4 in 21 ms; "
        "healed on netology1: + address lo 172.28.128.200/32"
    )


@pytest.mark.parametrize(
    ("event_type", "data", "expected"),
    [
        ("of.tomorrow", {"a": 1, "b": "two words", "c": "word"}, 'a=1 b="two words" c=word'),
        ("failover", {"instance": 3}, "instance=3"),
        ("vrrp.transition", {}, ""),
    ],
)
def test_what_is_not_known_reads_as_key_and_value(event_type: str, data: dict[str, object], expected: str) -> None:
    """An unknown type, or data of another shape: shown, never an error."""
    assert sentence(event_type, data) == expected


def test_lines_in_a_pipe_have_six_fields_separated_by_tabs(master: Master, run: Run) -> None:
    """Cursor, local time with offset, cluster, host, type, sentence; the master's own events say so."""
    master.happens("failover", minion="", **FAILOVER)

    fields = run("events").stdout.rstrip("\n").split("\t")

    assert fields[0] == "1"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.250[+-]\d{4}", fields[1])
    assert fields[2:5] == ["netology", "(master)", "failover"]
    assert len(fields) == 6


def test_without_since_the_newest_are_shown(master: Master, run: Run) -> None:
    """Fifty, or as many as --limit says, oldest first."""
    for _ in range(60):
        master.happens("minion.started", product="0.1.0")

    assert [line.split("\t")[0] for line in run("events").stdout.splitlines()] == [str(n) for n in range(11, 61)]
    assert [line.split("\t")[0] for line in run("events", "--limit", "2").stdout.splitlines()] == ["59", "60"]


def test_since_goes_on_after_that_cursor(master: Master, run: Run) -> None:
    """Not with it."""
    for _ in range(4):
        master.happens("minion.started", product="0.1.0")

    assert [line.split("\t")[0] for line in run("events", "--since", "2").stdout.splitlines()] == ["3", "4"]


def test_filters_are_combined(master: Master, run: Run) -> None:
    """Any of the types, and any of the hosts, and the cluster."""
    for event_type, minion in (("vrrp.transition", "netology3"), ("drift.found", "netology3"), ("failover", "")):
        master.happens(event_type, minion=minion)
    master.happens("vrrp.transition", minion="netology4")

    result = run("events", "--type", "vrrp.*", "--type", "drift.*", "--host", "netology3", "--cluster", "netology")

    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["1", "2"]


def test_json_is_a_document_per_line(master: Master, run: Run) -> None:
    """The event as it is in the journal."""
    master.happens("failover", minion="", **FAILOVER)
    master.happens("minion.started", product="0.1.0")

    assert [json.loads(line) for line in run("events", "--json").stdout.splitlines()] == master.journal


def test_hostile_text_cannot_act_on_a_terminal_or_forge_a_line(master: Master, run: Run) -> None:
    """Control characters, tabs, newlines and direction marks are escaped; markup is text."""
    master.happens("message.refused", minion="evil\x1b[2J", reason="a\tb\nc", text="[bold]\u202ered\x9b31m", count=1)

    output = run("events").stdout

    assert output.count("\n") == 1
    assert output.count("\t") == 5
    assert "evil\\x1b[2J" in output
    assert "a\\tb\\nc" in output
    assert "[bold]\\u202ered\\x9b31m" in output


def test_an_impossible_time_does_not_stop_the_stream(master: Master, run: Run) -> None:
    """A host's clock is the host's."""
    master.happens("minion.started", product="0.1.0")
    master.journal[0]["time"] = 1e300

    assert run("events").stdout.split("\t")[1] == "-"


def test_a_negative_cursor_is_a_usage_error(run: Run) -> None:
    """Exit code 2."""
    assert run("events", "--since", "-1").exit_code == 2


def test_follow_says_at_once_when_no_master_runs(run: Run) -> None:
    """A person at the keyboard wants to know; a script with the client waits."""
    result = run("events", "--follow")

    assert (result.exit_code, "is it running? systemctl start lbmaster" in result.stderr) == (3, True)


def test_follow_ends_after_limit(master: Master, run: Run) -> None:
    """With --since it begins in the past."""
    for _ in range(3):
        master.happens("minion.started", product="0.1.0")

    result = run("events", "--follow", "--since", "0", "--limit", "2")

    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["1", "2"]
