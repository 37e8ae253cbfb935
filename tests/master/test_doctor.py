"""What only shows between hosts, and how a cluster is examined by a real master."""

from __future__ import annotations

import pytest

from lbmaster.doctor import Contest, conclude, contested, copied
from lbwire.events import DriftContested, DriftSettled
from lbwire.messages import Symptom

from .conftest import Refusal, Site

DIRECTORS = ("d1", "d2")
INSTANCES = {"web": ("10.0.0.100/24",)}
MAC = {"d1": "02:00:00:00:00:01", "d2": "02:00:00:00:00:02", "r1": "02:00:00:00:00:11"}


def director(name: str, priority: int, **more: str) -> dict[str, str]:
    """What a healthy director tells."""
    told = {
        "macs": MAC[name],
        "addresses": f"10.0.0.{name[1:]}",
        "holds": "",
        "vips web": "10.0.0.100",
        "vrid web": "100",
        "advertises web": "version 3 every 1 s",
        "priority web": str(priority),
        "ipvs": "a" * 16,
        "masquerades": "",
        "sync master": "id 1 224.0.0.81:8848",
        "sync backup": "id 1 224.0.0.81:8848",
    }
    return told | {key.replace("_", " "): text for key, text in more.items()}


def real_server(**more: str) -> dict[str, str]:
    told = {"macs": MAC["r1"], "addresses": "10.0.0.11", "gateways": "10.0.0.254", "arp 10.0.0.100": MAC["d1"]}
    return told | more


HEALTHY = {"d1": director("d1", 250, holds="web"), "d2": director("d2", 240), "r1": real_server()}


def found(**changed: dict[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """The conclusions about a cluster in which some hosts tell something else."""
    facts = {name: told | changed.get(name, {}) for name, told in HEALTHY.items()}
    return [(it.symptom.id, it.hosts) for it in conclude(facts, DIRECTORS, INSTANCES)]


def test_a_healthy_cluster_has_nothing_between_its_hosts() -> None:
    """Nor one of which nothing is known."""
    assert found() == []
    assert conclude({}, DIRECTORS, INSTANCES) == []
    assert conclude({"d1": {}, "r1": {}}, DIRECTORS, INSTANCES) == []


@pytest.mark.pitfall("V1")
def test_a_vip_on_two_directors_is_found() -> None:
    """Each of them thinks that it is MASTER."""
    assert found(d2={"holds": "web"}) == [("V1", ("d1", "d2"))]


@pytest.mark.pitfall("V1")
def test_other_virtual_router_ids_are_found() -> None:
    """Such directors do not hear each other."""
    assert found(d2={"vrid web": "101"}) == [("V1", ("d1", "d2"))]


@pytest.mark.pitfall("R2")
def test_a_host_that_answers_for_the_holder_is_named() -> None:
    """As somebody else saw it; an unknown MAC is named by itself, with who saw it; VRRP's own MAC is right."""
    assert found(d2={"arp 10.0.0.100": f"{MAC['d1']} {MAC['r1']}"}) == [("R2", ("r1",))]
    assert found(d2={"arp 10.0.0.100": "02:00:00:00:00:99"}) == [("R2", ("d2",))]
    assert found(d2={"arp 10.0.0.100": "00:00:5e:00:01:64"}) == []
    assert found(d1={"holds": ""}, d2={"arp 10.0.0.100": MAC["r1"]}) == []


@pytest.mark.pitfall("V4")
def test_other_lists_of_vips_are_found() -> None:
    """With both lists."""
    facts = HEALTHY | {"d2": director("d2", 240, vips_web="10.0.0.100 10.0.0.101")}
    (only,) = conclude(facts, DIRECTORS, INSTANCES)
    assert only.symptom.id == "V4"
    assert "d2: 10.0.0.100 10.0.0.101" in only.symptom.seen


@pytest.mark.pitfall("V5")
@pytest.mark.pitfall("V6")
def test_other_intervals_and_equal_priorities_are_found() -> None:
    """Both from the files that the directors have."""
    assert found(d2={"advertises web": "version 3 every 2 s"}) == [("V5", ("d1", "d2"))]
    assert found(d2={"priority web": "250"}) == [("V6", ("d1", "d2"))]


@pytest.mark.pitfall("S7")
def test_other_tables_are_found() -> None:
    """What one director forwards, the other has to forward after a failover."""
    assert found(d2={"ipvs": "b" * 16}) == [("S7", ("d1", "d2"))]


@pytest.mark.pitfall("I11")
@pytest.mark.parametrize(
    "told", [{"sync backup": "id 2 224.0.0.81:8848"}, {"sync master": "id 1 224.0.0.81:8849"}, {"sync backup": ""}]
)
def test_sync_daemons_that_do_not_match_are_found(told: dict[str, str]) -> None:
    """Another id, another port, one that does not run; none at all on any director is what the file says."""
    assert found(d2=told) == [("I11", DIRECTORS)]
    none = {"sync master": "", "sync backup": ""}
    assert found(d1=none, d2=none) == []


@pytest.mark.pitfall("I7")
def test_a_masqueraded_real_server_with_another_gateway_is_found() -> None:
    """A director or a VIP is a right one; without masquerading any is."""
    masquerading = {"masquerades": "10.0.0.11"}
    assert found(d1=masquerading) == [("I7", ("r1",))]
    assert found(d1=masquerading, r1={"gateways": "10.0.0.100"}) == []
    assert found(d1=masquerading, r1={"gateways": "10.0.0.1 10.0.0.254"}) == []
    assert found(d1=masquerading, r1={"gateways": ""}) == [("I7", ("r1",))]


@pytest.mark.pitfall("I2")
def test_what_somebody_keeps_changing_back_is_told_until_it_settles() -> None:
    """The last word on each thing of each host counts."""
    web, mail = "tcp 10.0.0.100:80", "tcp 10.0.0.100:25"
    fight = Contest("d1", "service", (web, mail), 5, 30.0, open=True)
    told = contested([fight])
    assert [(it.hosts, it.symptom.id, it.symptom.subject) for it in told] == [
        (("d1",), "I2", f"service {mail}"),
        (("d1",), "I2", f"service {web}"),
    ]
    settled = Contest("d1", "service", (web,), 0, 60.0, open=False)
    assert [it.symptom.subject for it in contested([fight, settled])] == [f"service {mail}"]
    assert len(contested([fight, settled, fight])) == 2
    assert len(contested([fight, fight._replace(host="d2")])) == 4
    assert contested([]) == []


@pytest.mark.pitfall("S10")
def test_a_key_that_two_hosts_use_is_told_with_both_addresses() -> None:
    """And what to do with the copy."""
    assert copied({}) == []
    (told,) = copied({"r1": ("192.0.2.1", "192.0.2.2")})
    assert (told.hosts, told.symptom.id, told.symptom.severity) == (("r1",), "S10", "error")
    assert told.symptom.seen == "two hosts use it: 192.0.2.1, which is heard, and 192.0.2.2, which is not"
    assert "/var/lib/lbminion" in told.symptom.repair


SYMPTOM = Symptom("R11", "error", "tcp 10.0.0.100:80", "seen", "means", "repair")


async def test_every_host_is_examined_and_what_they_tell_is_compared(site: Site) -> None:
    """Who does not answer in time is silent, who could not look says why."""
    await site.cluster()
    site.minions["r1"].examined = {"symptoms": (SYMPTOM,)}
    site.minions["r2"].answers = False
    for name in DIRECTORS:
        site.minions[name].examined = {"facts": {"holds": "www"}}
    site.minions["d2"].examined |= {"error": "no ip_vs"}
    result = (await site.ask("doctor", cluster="web", timeout=0.5))["clusters"]["web"]
    assert result["hosts"]["r1"]["symptoms"][0] == {
        "id": "R11", "severity": "error", "subject": "tcp 10.0.0.100:80", "seen": "seen", "means": "means",
        "repair": "repair",
    }  # fmt: skip
    assert result["hosts"]["r2"] == {"silent": True, "symptoms": []}
    assert result["hosts"]["d2"] == {"symptoms": [], "error": "no ip_vs"}
    assert result["between"] == []
    site.minions["d2"].examined = {"facts": {"holds": "www"}}
    result = (await site.ask("doctor", timeout=0.5))["clusters"]["web"]
    assert [(it["id"], it["hosts"]) for it in result["between"]] == [("V1", ["d1", "d2"])]


@pytest.mark.pitfall("I2")
async def test_a_contest_in_the_journal_is_told(site: Site) -> None:
    """A minion said so, and has not said that it is over; one of long ago is forgotten by the bound of the journal."""
    await site.cluster()
    contest = DriftContested("address", ("lo 10.0.0.100/32",), 4, 12.0, 8.0)
    site.minions["r1"].report(contest)
    await site.event("drift.contested")
    (told,) = (await site.ask("doctor", timeout=0.5))["clusters"]["web"]["between"]
    assert (told["id"], told["hosts"], told["subject"]) == ("I2", ["r1"], "address lo 10.0.0.100/32")
    site.minions["r1"].report(DriftSettled("address", ("lo 10.0.0.100/32",), 4, 60.0))
    await site.event("drift.settled")
    assert (await site.ask("doctor", timeout=0.5))["clusters"]["web"]["between"] == []


async def test_a_cluster_that_is_not_there_cannot_be_examined(site: Site) -> None:
    """And wrong arguments are a bad request."""
    with pytest.raises(Refusal) as refusal:
        await site.ask("doctor", cluster="nowhere")
    assert refusal.value.kind == "unknown_cluster"
    with pytest.raises(Refusal) as refusal:
        await site.ask("doctor", timeout=-1)
    assert refusal.value.kind == "bad_request"
    assert await site.ask("doctor") == {"clusters": {}}
