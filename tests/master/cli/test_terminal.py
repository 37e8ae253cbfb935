"""What people see: colour, live progress, redrawing, Ctrl-C. Real processes on real pseudo-terminals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.master.cli import examples
from tests.master.cli.conftest import Terminal
from tests.master.cli.scripted import Json, Master

from lbmaster.cli.push import interrupted

Start = Callable[..., Terminal]
RED = "\x1b[1;31m"


def test_trouble_is_red(master: Master, terminal: Start) -> None:
    """Lost, drift and split brain."""
    vip = {"instance": "web", "holder": None, "masters": ["netology3", "netology4"]}
    lost = examples.host(online=False, last_seen=12.0, drift=1)
    master.answers["status"] = [{"result": examples.status(vip, netology3=lost)}]

    shown = terminal("status")

    assert shown.finish() == 0
    for text in ("SPLIT BRAIN: netology3, netology4", "LOST 12.0 s ago", "DRIFT 1"):
        assert f"{RED}{text}" in shown.output


def test_hostile_names_are_neither_markup_nor_control(master: Master, terminal: Start) -> None:
    """Rich markup in a name is shown as it is."""
    note = examples.host(note="[red]x[/red]\x1b]0;title\x07")
    master.answers["status"] = [{"result": examples.status(netology1=note)}]

    shown = terminal("status")

    assert shown.finish() == 0
    assert "[red]x[/red]\\x1b]0;title\\x07" in shown.output
    assert "\x1b]0;" not in shown.output


def test_push_shows_every_host_live_and_the_result(master: Master, terminal: Start, tmp_path: Path) -> None:
    """The table is there before the push has ended."""
    master.answers["push"] = [*examples.PUSH_NOTES, {"result": examples.PUSHED}]
    path = tmp_path / "cluster.yaml"
    path.write_text(examples.CLUSTER_FILE)

    shown = terminal("push", str(path))

    shown.read_until("Pushing generation 7")
    assert shown.finish() == 0
    assert "waiting" in shown.output
    assert "applied" in shown.output
    assert "Converged: generation 7 of netology" in shown.output


def test_ctrl_c_during_a_push_says_that_the_push_goes_on(master: Master, terminal: Start, tmp_path: Path) -> None:
    """Exit code 130: the watching ended, not the push."""
    end = threading.Event()

    def answer(_: Json) -> list[Json]:
        end.wait(20)
        return [{"result": examples.PUSHED}]

    master.answers["push"] = answer
    path = tmp_path / "cluster.yaml"
    path.write_text(examples.CLUSTER_FILE)
    shown = terminal("push", str(path))
    try:
        with master.grown:
            assert master.grown.wait_for(lambda: bool(master.requests), timeout=20)
        shown.process.send_signal(signal.SIGINT)
        code = shown.finish()
    finally:
        end.set()

    assert code == 130
    assert "the push goes on at the master" in shown.output
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("queued", "the push was still queued, and does not take place"),
        ("", "the push goes on at the master, if it had begun"),
        ("released", "the push goes on at the master"),
    ],
)
def test_ctrl_c_in_the_queue_is_not_in_the_middle(phase: str, said: str) -> None:
    """What was not begun is given up with its client."""
    assert interrupted("push", phase) == said


@pytest.mark.parametrize("command", [("stats", "--watch"), ("events", "--follow")])
def test_ctrl_c_ends_what_has_no_end(master: Master, terminal: Start, command: tuple[str, ...]) -> None:
    """Exit code 130, no traceback, the cursor is visible again."""
    master.answers["stats"] = [{"result": examples.STATS}]
    shown = terminal(*command)
    if command[0] == "events":
        master.wait_for_follower()
    else:
        shown.read_until("InActConn")
    shown.process.send_signal(signal.SIGINT)

    assert shown.finish() == 130
    assert "Traceback" not in shown.output
    assert shown.output.count("\x1b[?25l") == shown.output.count("\x1b[?25h")


def test_watch_shows_new_figures_and_survives_a_restart_of_the_master(scripted: Master, terminal: Start) -> None:
    """While the master is away it says so."""
    scripted.answers["stats"] = [{"result": examples.STATS}]
    with scripted.running():
        shown = terminal("stats", "--watch", width=300)  # so that no path folds what is looked for
        shown.read_until("InActConn counts connections")
    shown.read_until("trying again")
    shown.output = ""
    with scripted.running():
        shown.read_until("InActConn counts connections")


def test_repeated_names_are_shown_once_on_a_terminal(master: Master, terminal: Start) -> None:
    """The eye sees groups; a pipe has every field in every row."""
    master.answers["stats"] = [{"result": examples.STATS}]

    shown = terminal("stats")

    assert shown.finish() == 0
    assert shown.output.count("tcp 172.28.128.200:80") == 1
    assert "no count of errors" in shown.output


@pytest.mark.parametrize("width", [20, 40, 300])
def test_a_narrow_terminal_loses_no_text(master: Master, terminal: Start, width: int) -> None:
    """Cells fold; nothing is cut."""
    master.answers["status"] = [{"result": examples.status(netology1=examples.host(note="x" * 30))}]

    shown = terminal("status", width=width)

    assert shown.finish() == 0
    assert shown.output.count("x") >= 30
    assert "…" not in shown.output
