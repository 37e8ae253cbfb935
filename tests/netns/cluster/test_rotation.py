"""Keys are replaced while everything runs: a minion's, and the master's own; interrupted at any point it goes on."""

from __future__ import annotations

import shutil
import signal

import pytest

from lbmaster.client import BrokenOff, Unreachable
from lbminion.rotation import next_path
from lbservice.keys import fingerprint, load_or_make_curve

from .place import Host, Place, until


def key_of(host: Host) -> str:
    return fingerprint(load_or_make_curve(host.state / "curve.key").public)


def states(host: Host) -> dict[str, str]:
    """Say what the master thinks of each key of a host."""
    return {key["fingerprint"]: key["state"] for key in host.place.enrolments() if key["name"] == host.name}


def replaced(host: Host, old: str) -> bool:
    """Whether the host has one key, which is another, and the old one is revoked."""
    found = states(host)
    return found.get(key_of(host)) == "accepted" and found.get(old) == "revoked" and key_of(host) != old


def test_a_minion_replaces_its_key_while_it_runs(place: Place, server: Host) -> None:
    """Proven by the old one; its events go on where they were, and the old key is worth nothing any more."""
    old, since = key_of(server), place.cursor()
    kept = server.folder / "old.key"
    shutil.copy(server.state / "curve.key", kept)
    done = server.lbminion("rotate-key")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == key_of(server)
    server.until(lambda: replaced(server, old), "the master knows the new key alone")
    (event,) = [it["data"] for it in place.events("key.rotated", since=since)]
    assert (event["host"], event["previous"], event["fingerprint"]) == (server.name, old, key_of(server))
    server.until(server.is_online, "it is online")
    place.push_with(server)
    assert not server.events("message.refused", since=since)
    server.stop()
    new = (server.state / "curve.key").read_bytes()
    shutil.copy(kept, server.state / "curve.key")
    server.start(online=False)
    server.until(lambda: "does not accept this host's key" in server.log, "the old key is refused")
    server.stop()
    (server.state / "curve.key").write_bytes(new)
    server.start()


@pytest.mark.parametrize(
    "at", ["before the master was told", "after the master was told", "after the new key was used"]
)
def test_an_interrupted_replacement_goes_on(place: Place, server: Host, at: str) -> None:
    """Whichever of the two keys the master knows, the minion finds back to it, and ends with the new one."""
    old = key_of(server)
    server.stop(signal.SIGKILL)
    current, following = server.state / "curve.key", next_path(server.state / "curve.key")
    if at == "after the new key was used":
        kept = current.read_bytes()
        server.start()
        assert server.lbminion("rotate-key").returncode == 0
        server.until(lambda: replaced(server, old), "the master knows the new key alone")
        server.stop(signal.SIGKILL)
        # As if it had been killed before the file was renamed.
        current.rename(following)
        current.write_bytes(kept)
    else:
        load_or_make_curve(following)
        if at == "after the master was told":
            server.start()
            server.stop(signal.SIGKILL)
    server.start(online=False)
    server.until(lambda: not following.exists(), "the new key is the only one", 60)
    server.until(lambda: replaced(server, old), "the master knows it")
    server.until(server.is_online, "it is online")
    place.push_with(server)


def test_the_masters_keys_are_replaced_without_touching_a_host(place: Place, server: Host, other: Host) -> None:
    """Announced, learned, put in force; who was away is waited for, a restart of anything in between changes nothing."""
    other.start()
    other.stop()
    since, before = place.cursor(), place.fingerprint
    announced = place.lbmaster("keys", "rotate-master")
    assert announced.returncode == 0, announced.stderr
    until(lambda: place.ask("keys.rotation")["missing"] == [other.name], "all that run have learned", 30)
    refused = place.lbmaster("keys", "rotate-master", "--finish")
    assert refused.returncode
    assert other.name in refused.stderr
    place.stop_master(signal.SIGKILL)
    server.stop(signal.SIGKILL)
    place.start_master()
    server.start()
    other.start()
    until(lambda: not place.ask("keys.rotation")["missing"], "all have learned", 30)
    new = place.ask("keys.rotation")["fingerprint"]
    done = place.lbmaster("keys", "rotate-master", "--finish")
    assert done.returncode == 0, done.stderr
    place.stop_master(signal.SIGKILL)
    place.start_master()
    place.fingerprint = new
    assert new != before
    for host in (server, other):
        host.until(host.is_online, "it is online", 60)
        adopted = host.event("master.successor", since)["data"]
        assert adopted["fingerprint"] == new
    host = place.hosts["d1"]
    host.until(host.is_online, "it is online", 60)
    assert place.ask("ping")["fingerprint"] == new
    place.push_with(server, other)
    server.stop()
    server.start()
    assert not server.lbminion("plan").returncode
    assert [it["data"]["state"] for it in server.events("master.successor", since=since)] == ["learned", "adopted"]


def test_who_was_left_behind_has_to_join_anew(place: Place, server: Host, other: Host) -> None:
    """The others go on with the new keys; the one that never heard of them reaches nobody."""
    other.start()
    other.stop()
    assert place.lbmaster("keys", "rotate-master").returncode == 0
    until(lambda: place.ask("keys.rotation")["missing"] == [other.name], "all that run have learned", 30)
    done = place.lbmaster("keys", "rotate-master", "--finish", "--allow-missing", other.name)
    assert done.returncode == 0, done.stderr
    place.fingerprint = until(lambda: _another(place), "the master has its new keys", 30)
    server.until(server.is_online, "it is online", 60)
    other.start(online=False)
    place.push_with(server)
    assert not other.is_online()


def _another(place: Place) -> str:
    """The master's fingerprint, once it is another one; it cannot be asked while it begins anew."""
    try:
        found: str = place.ask("ping")["fingerprint"]
    except (Unreachable, BrokenOff):
        return ""
    return found if found != place.fingerprint else ""
