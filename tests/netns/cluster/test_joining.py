"""Joining, as an operator does it: two commands on two machines, and all the ways in which it can go wrong."""

from __future__ import annotations

import json
import time

import pytest
import zmq

from lbservice.keys import fingerprint

from .place import MASTER, VIP, Host, Place, until


def test_a_host_without_a_token_waits_until_the_operator_accepts_it(place: Place, stranger: Host) -> None:
    """It says what to run, waits, and is in as soon as its key is accepted; the keys that both show are the same."""
    place.processes.start(f"{stranger.name}.join", stranger.command(*stranger.joining("--timeout", 60)))
    key = until(
        lambda: [k for k in place.enrolments() if k["name"] == stranger.name], "the key is shown as pending", 30
    )[0]
    assert key["state"] == "pending"

    def said() -> str:
        return place.processes.log(f"{stranger.name}.join")

    until(lambda: f"lbmaster keys accept {stranger.name}" in said(), "the way out is said", 30)
    assert f"its key {key['fingerprint']}" in said()
    assert not stranger.config.exists()
    accepted = place.lbmaster("keys", "accept", stranger.name)
    assert accepted.returncode == 0, accepted.stderr
    until(lambda: "the master's keys are pinned" in said(), "it has joined", 30)
    stranger.configure(keepalived_manager="child")
    stranger.start()


def test_a_running_minion_whose_key_is_accepted_later_needs_no_restart(
    place: Place, stranger: Host, other: Host
) -> None:
    """Its handshakes are refused until then, which it says once, with what to run."""
    stranger.config.write_text(other.config.read_text())
    stranger.configure(
        name=stranger.name, state_directory=str(stranger.state), runtime_directory=str(stranger.runtime),
        keepalived_config=str(stranger.folder / "keepalived.conf"),
    )  # fmt: skip
    stranger.start(online=False)
    refusal = f"run `lbmaster keys accept {stranger.name}` there"
    stranger.until(lambda: refusal in stranger.log, "the refusal is said")
    stranger.until(lambda: stranger.reported().get("accepted") is False, "the status says so")
    assert "not accepted" in stranger.lbminion("status").stdout
    pending = stranger.lbminion(*stranger.joining("--timeout", 1))
    assert pending.returncode == 1
    assert "not accepted within 1 s" in pending.stderr
    place.ask("keys.accept", name=stranger.name)
    stranger.until(stranger.is_online, "it is online")
    assert stranger.log.count(refusal) == 1
    assert "connected" in stranger.lbminion("status").stdout
    assert [event["type"] for event in stranger.events()] == ["minion.started"]


def test_a_revoked_host_is_cut_off_and_keeps_serving(place: Place, server: Host) -> None:
    """Neither its events nor its samples get in any more; its VIP stays where it is, and is still repaired."""
    revoked = place.lbmaster("keys", "revoke", server.name)
    assert revoked.returncode == 0, revoked.stderr
    server.until(lambda: "does not accept this host's key" in server.log, "the minion says so")
    since = place.cursor()
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    server.until(lambda: server.on_lo() == {f"{VIP}/32"}, "the VIP is back")
    server.until(lambda: server.reported().get("accepted") is False, "the status says so")
    assert "this host's key is not accepted there" in server.lbminion("status").stdout
    time.sleep(1)  # nothing to wait for: nothing may come
    assert not server.events(since=since)
    again = server.lbminion(*server.joining("--timeout", 5))
    assert again.returncode == 1
    assert "this key was revoked: make a new key to join again" in again.stderr


def test_joining_twice_keeps_the_key_and_the_configuration(place: Place, joined: Host) -> None:
    """A token is not needed any more, and none is used up."""

    def snapshot() -> tuple[bytes, list[object]]:
        keys = [(k["fingerprint"], k["state"]) for k in place.enrolments() if k["name"] == joined.name]
        return (joined.state / "curve.key").read_bytes(), [*keys]

    before = snapshot()
    again = joined.lbminion(*joined.joining())
    assert again.returncode == 0, again.stderr
    assert snapshot() == before
    assert len(before[1]) == 1


def test_settings_of_the_operator_survive_joining_again(joined: Host) -> None:
    """What an operator wrote into the configuration is not lost."""
    joined.configure(sample_interval=2.5)
    assert joined.lbminion(*joined.joining()).returncode == 0
    assert "sample_interval = 2.5" in joined.config.read_text()
    assert 'keepalived_manager = "child"' in joined.config.read_text()


def test_a_host_that_has_joined_does_not_join_another_master(joined: Host) -> None:
    """The pinned keys are not overwritten, whatever the command line says; the way out is named."""
    before = joined.config.read_text()
    other = fingerprint(zmq.curve_keypair()[0])
    refused = joined.lbminion(*joined.joining(fingerprint=other))
    assert refused.returncode == 2
    assert f"{joined.config} names another master ({MASTER}); move the file away to join this one" in refused.stderr
    assert joined.config.read_text() == before


def test_a_token_lets_in_one_host_only(
    place: Place, stranger: Host, other: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the environment or by the option. The second is told what to do; it is not even pending."""
    token = place.ask("keys.token", ttl=60)["token"]
    other.config.unlink()
    (other.state / "curve.key").unlink()
    place.ask("keys.revoke", name=other.name)
    with monkeypatch.context() as environment:
        environment.setenv("LBMINION_TOKEN", token)
        assert other.lbminion(*other.joining()).returncode == 0
    refused = stranger.lbminion(*stranger.joining("--token", token))
    assert refused.returncode == 1
    assert "used before" in refused.stderr
    assert "lbmaster keys token" in refused.stderr
    assert not stranger.config.exists()
    assert stranger.name not in {key["name"] for key in place.enrolments()}


@pytest.mark.parametrize("wrong", ["fingerprint", "port", "address"])
def test_a_master_that_does_not_answer_is_given_up_in_time(place: Place, stranger: Host, wrong: str) -> None:
    """Another master's fingerprint, a closed port and nobody there look alike from here: all three are named."""
    words = {
        "fingerprint": {"fingerprint": fingerprint(zmq.curve_keypair()[0])},
        "port": {"master": f"{MASTER}:7999"},
        "address": {"master": "10.99.249.249"},
    }[wrong]
    begun = time.monotonic()
    failed = stranger.lbminion(*stranger.joining("--timeout", 1, **words))
    assert time.monotonic() - begun < 15
    assert failed.returncode == 1
    assert one_line(failed.stderr)
    assert "is `lbmaster serve` running there, is the port open, and is the fingerprint that" in failed.stderr
    assert not stranger.config.exists()
    assert place.ask("ping")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--fingerprint", "abc", "no fingerprint: it has 3 characters, not 52"),
        ("--fingerprint", "!" * 52, "only the letters a-z"),
        ("--name", "Bad_Name", "is no host name"),
        ("--name", "../../etc", "is no host name"),
        ("--master", "10.99.0.1:x", "is no address"),
        ("--master", ":7413", "is no address"),
        ("--master", "10.99.0.1:99999", "is no address: give ADDR, ADDR:PORT (1 to 65535)"),
        ("--master", "no such host", "give the master's address"),
        ("--token", "x" * 5000, "the token is too long"),
        ("--timeout", "-1", "'--timeout': -1.0 is not in the range"),
    ],
)
def test_a_wrong_option_is_named_in_one_line(stranger: Host, option: str, value: str, says: str) -> None:
    """Nothing is asked of anybody, and no configuration is written."""
    failed = stranger.lbminion(*stranger.joining(option, value), timeout=20)
    assert failed.returncode in (1, 2)
    assert says in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not stranger.config.exists()


def one_line(text: str) -> bool:
    return len(text.splitlines()) == 1 and "Traceback" not in text


def test_status_as_json_is_one_object(server: Host) -> None:
    """For scripts."""
    shown = json.loads(server.lbminion("status", "--json").stdout)
    assert (shown["name"], shown["online"], shown["accepted"]) == (server.name, True, True)
