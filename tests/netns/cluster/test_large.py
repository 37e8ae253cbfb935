"""A cluster with thousands of services: what is told of it fits, whoever it is told to."""

from __future__ import annotations

from .place import Host, Place

SERVICES = 3000


def test_a_push_of_thousands_of_changes_converges_and_is_told_in_part(place: Place, server: Host) -> None:
    """On a director each service and each destination is a change; all are counted, and the journal refuses nothing."""
    head, _, _ = place.cluster_file(server).partition("services:")
    text = f"{head}services:\n" + "".join(f"  - {{vip: www, port: {1000 + n}}}\n" for n in range(SERVICES))
    since = place.cursor()
    planned = place.ask("plan", text=text, file="web.yaml", timeout=60)["hosts"]["d1"]
    assert sum(step["count"] for step in planned["steps"]) >= 2 * SERVICES
    pushed = place.push(text)["hosts"]["d1"]
    assert pushed["steps"] == planned["steps"]
    staged = place.hosts["d1"].event("state.staged", since)
    assert sum(step["count"] for step in staged["data"]["steps"]) >= 2 * SERVICES
    assert not place.events("message.refused", since=since)
    place.push_with(server)
