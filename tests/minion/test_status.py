"""What the running minion says of itself, and what it says about what is not as declared."""

from __future__ import annotations

from pathlib import Path

from lbminion.jobs import Outcome
from lbminion.policy import Left
from lbminion.status import Status, masters, read_status, remove_status, undone, unwell, write_status
from lbstates.kinds.address import Address
from lbstates.plan import Change
from lbwire.messages import Health, Role, Sample


def status(**roles: str) -> Status:
    held = {name: Role(state, 100) for name, state in roles.items()}
    return Status("d1", "fingerprint", "10.0.0.1", True, True, Sample(time=1.0, holdings={}, roles=held, drift=0))


def added(number: int) -> Change:
    vip = Address("lo", f"10.0.0.{number}/32")
    return Change("address", "add", vip.identity, after=vip)


def test_what_was_written_is_read_until_it_is_removed(tmp_path: Path) -> None:
    """What cannot be understood reads as nothing."""
    assert read_status(tmp_path) is None
    write_status(tmp_path, status(web="MASTER"))
    assert read_status(tmp_path) == status(web="MASTER")
    (tmp_path / "status.json").write_text("{")
    assert read_status(tmp_path) is None
    remove_status(tmp_path)
    remove_status(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_masters_are_those_of_the_last_status(tmp_path: Path) -> None:
    """None without a service."""
    assert masters(tmp_path) == frozenset()
    write_status(tmp_path, status(web="MASTER", mail="BACKUP"))
    assert masters(tmp_path) == {"web"}


def test_each_thing_that_is_not_as_declared_has_a_line_with_the_reason() -> None:
    """What failed, what was left and why, what the host said."""
    outcome = Outcome(
        plan=(added(1),),
        remaining=(added(1),),
        left=(Left(added(2), "held"), Left(added(3), "contested")),
        errors=("no",),
    )
    assert undone(outcome) == (
        "+ address lo 10.0.0.1/32 (not done)",
        "+ address lo 10.0.0.2/32 (left alone: an operator stopped keepalived)",
        "+ address lo 10.0.0.3/32 (waits: somebody keeps changing it back)",
        "no",
    )
    assert undone(Outcome()) == ()


def test_a_table_of_thousands_does_not_flood_the_status() -> None:
    """Twenty lines, and how many more there are."""
    lines = undone(Outcome(remaining=tuple(added(number) for number in range(1, 251))))
    assert len(lines) == 21
    assert lines[-1] == "and 230 more"


def test_each_thing_that_checks_have_found_has_a_line() -> None:
    """Bounded, with the number of those that are not shown."""
    health = Health(
        failing={"web -> r1": "connection refused"},
        unproven=("web -> r2",),
        frozen=("web",),
        sorry=("mail",),
        suspected=("web -> r3",),
        silent=("tcp 10.0.0.1:80",),
    )
    assert unwell(health) == (
        "mail: no real server answers, the sorry server does",
        "web: more fail than may be out, some stay in although they fail",
        "web -> r1 fails: connection refused",
        "web -> r2 has passed no probe yet",
        "web -> r3 is suspected: clients' connections do not establish",
        "tcp 10.0.0.1:80: nothing on this host takes what is sent there",
    )
    assert unwell(Health()) == ()
    many = unwell(Health(unproven=tuple(f"web -> r{number}" for number in range(100))))
    assert (len(many), many[-1]) == (21, "and 80 more")
