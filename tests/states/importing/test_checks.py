"""keepalived's checkers and sorry servers -> the check and the pool of a service."""

from __future__ import annotations

import pytest
from tests.states.importing.conftest import INSTANCE, SERVICE, Import, data, said, service

from lbstates.clusterfile import check
from lbstates.importing import Imported

LOOP = "delay_loop 6\n"


def _text(*checkers: str, around: str = LOOP, head: str = SERVICE) -> str:
    """One service; a real server for each checker."""
    reals = "".join(
        f" real_server 10.0.0.{number} 80 {{\n {checker}\n }}\n" for number, checker in enumerate(checkers, 10)
    )
    return f"{INSTANCE}}}\n{head}{around}{reals}}}\n"


def _right(imported: Imported) -> Imported:
    """One in which `check` finds no error."""
    assert [one for one in check(imported.text).findings if one.severity == "error"] == []
    return imported


@pytest.mark.parametrize(
    ("checker", "written"),
    [
        ("TCP_CHECK {\n }", {"tcp": {}, "interval": 6}),
        (
            "TCP_CHECK {\n connect_timeout 3\n retry 1\n connect_port 8080\n }",
            {"tcp": {}, "interval": 6, "timeout": 3, "fall": 2, "port": 8080},
        ),
        ("TCP_CHECK {\n connect_port 80\n connect_timeout 9\n }", {"tcp": {}, "interval": 6, "timeout": 6}),
        ("delay_loop 4\n TCP_CHECK {\n }", {"tcp": {}, "interval": 4}),
        ("delay_loop 4\n TCP_CHECK {\n delay_loop 3\n }", {"tcp": {}, "interval": 3}),
        ("HTTP_GET {\n url {\n path /\n }\n }", {"http": {"status": "200-299"}, "interval": 6}),
        (
            "HTTP_GET {\n url {\n path /h\n status_code 200 301-303\n virtualhost a.example\n }\n }",
            {"http": {"path": "/h", "host": "a.example", "status": ["200", "301-303"]}, "interval": 6},
        ),
        (
            "virtualhost b.example\n SSL_GET {\n url {\n path /h\n status_code 204\n }\n }",
            {"https": {"path": "/h", "host": "b.example", "status": "204"}, "interval": 6},
        ),
        ("SMTP_CHECK {\n }", {"tcp": {}, "interval": 6, "port": 25}),
    ],
)
def test_a_checker_becomes_the_check_of_the_service(keepalived: Import, checker: str, written: object) -> None:
    """With the times that are nearest to it."""
    assert service(_right(keepalived(_text(checker, checker))))["check"] == written


def test_what_udp_services_are_asked_by(keepalived: Import) -> None:
    """DNS by its name; nothing but a port by a datagram; another protocol at the port that is written."""
    udp = SERVICE.replace("TCP", "UDP")
    dns = "DNS_CHECK {\n type A\n name example.org\n }"
    assert service(_right(keepalived(_text(dns, head=udp))))["check"] == {
        "dns": {"name": "example.org", "type": "A"},
        "interval": 6,
    }
    assert service(_right(keepalived(_text("UDP_CHECK {\n }", head=udp))))["check"] == {"udp": {}, "interval": 6}
    assert service(_right(keepalived(_text("TCP_CHECK {\n }", head=udp))))["check"] == {
        "tcp": {},
        "interval": 6,
        "port": 80,
    }


def test_without_delay_loop_ours_is_taken_and_that_is_said(keepalived: Import) -> None:
    """keepalived's minute is a pitfall (H5)."""
    imported = _right(keepalived(_text("TCP_CHECK {\n connect_timeout 3\n }", around="")))
    assert service(imported)["check"] == "tcp"
    assert any("keepalived asks every 60 s; every 2 s was taken" in one for one in said(imported, "guessed"))


@pytest.mark.parametrize(
    ("checker", "why"),
    [
        ("MISC_CHECK {\n misc_path /x\n }", "it has no counterpart"),
        ("PING_CHECK {\n }", "it has no counterpart"),
        ("DNS_CHECK {\n }", "the root of the DNS"),
        ("UDP_CHECK {\n payload deadbeef\n }", "hexadecimal"),
        ("TCP_CHECK {\n connect_ip 10.0.0.77\n }", "another host"),
        ("HTTP_GET {\n url {\n path health\n }\n }", "cannot be in a request"),
        ("HTTP_GET {\n url {\n path /\n status_code 99\n }\n }", "is no HTTP status"),
        ('HTTP_GET {\n virtualhost "a b"\n url {\n path /\n }\n }', "cannot be in a request"),
    ],
)
def test_what_cannot_be_asked_is_left_out_and_said(keepalived: Import, checker: str, why: str) -> None:
    """The service is there without a check."""
    imported = _right(keepalived(_text(checker)))
    assert "check" not in service(imported)
    assert any(why in one for one in said(imported, "dropped"))


def test_a_time_that_is_none_is_left_out(keepalived: Import) -> None:
    """And ours is taken."""
    imported = _right(keepalived(_text("TCP_CHECK {\n connect_timeout soon\n }", around="delay_loop -1\n")))
    assert service(imported)["check"] == "tcp"
    assert sum("is no time for a check" in one for one in said(imported, "dropped")) == 2


def test_where_checks_differ_that_of_most_is_taken_and_said(keepalived: Import) -> None:
    """A service has one; also for a real server that had none."""
    tcp, http = "TCP_CHECK {\n }", "HTTP_GET {\n url {\n path /\n }\n }"
    imported = _right(keepalived(_text(tcp, http, tcp, "weight 1")))
    assert service(imported)["check"] == {"tcp": {}, "interval": 6}
    guessed = said(imported, "guessed")
    assert any("the check of 10.0.0.11 is another" in one for one in guessed)
    assert any("10.0.0.13 had no check of this kind" in one for one in guessed)


def test_a_second_checker_and_a_second_url_are_said(keepalived: Import) -> None:
    """The first ones count."""
    two = "HTTP_GET {\n url {\n path /a\n }\n url {\n path /b\n }\n }\n TCP_CHECK {\n }"
    imported = _right(keepalived(_text(two)))
    assert service(imported)["check"]["http"]["path"] == "/a"
    assert len([one for one in said(imported, "dropped") if "the first one was taken" in one]) == 2


def test_a_service_by_firewall_mark_is_asked_at_the_port_of_its_real_servers(keepalived: Import) -> None:
    """It has none itself; where they have none either, there is nothing to ask."""
    head = SERVICE.replace("10.0.0.100 80", "fwmark 7")
    assert service(_right(keepalived(_text("TCP_CHECK {\n }", head=head))))["check"]["port"] == 80
    no_port = _text("TCP_CHECK {\n }", head=head).replace("10.0.0.10 80", "10.0.0.10 0")
    imported = _right(keepalived(no_port))
    assert "check" not in service(imported)
    assert any("no port that its check could ask" in one for one in said(imported, "dropped"))


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("sorry_server 10.0.0.99 80", "10.0.0.99"),
        ("sorry_server 10.0.0.99 8080", "10.0.0.99"),
        (
            "sorry_server 10.0.0.99 8080\n sorry_server_lvs_method NAT",
            {"address": "10.0.0.99", "port": 8080, "forwarding": "masquerade"},
        ),
    ],
)
def test_a_sorry_server_is_imported(keepalived: Import, line: str, written: object) -> None:
    """Only masquerading leads to another port."""
    imported = _right(keepalived(_text("TCP_CHECK {\n }", around=f"{LOOP}{line}\n")))
    assert service(imported)["pool"] == {"sorry_server": written}


def test_a_sorry_server_that_is_a_real_server_has_its_name(keepalived: Import) -> None:
    """One of the same service is none."""
    other = SERVICE.replace(" 80 {", " 81 {") + " real_server 10.0.0.99 81 {\n }\n}\n"
    imported = _right(keepalived(_text("TCP_CHECK {\n }", around=f"{LOOP}sorry_server 10.0.0.99 80\n") + other))
    assert data(imported)["services"][0]["pool"] == {"sorry_server": "r-10-0-0-99"}
    imported = _right(keepalived(_text("TCP_CHECK {\n }", around=f"{LOOP}sorry_server 10.0.0.10 80\n")))
    assert "pool" not in service(imported)
    assert any("it is one of the real servers" in one for one in said(imported, "dropped"))


def test_a_sorry_server_on_the_director_itself_is_left_out(keepalived: Import) -> None:
    """One host for all directors cannot be each of them."""
    imported = _right(keepalived(_text("TCP_CHECK {\n }", around=f"{LOOP}sorry_server 127.0.0.1 80\n")))
    assert "pool" not in service(imported)
    assert any("every director would answer for itself" in one for one in said(imported, "dropped"))


def test_a_wrong_sorry_server_is_said(keepalived: Import) -> None:
    """The cluster file lacks it."""
    for line, why in (("sorry_server 10.0.0.999 80", "10.0.0.999"), ("sorry_server fd00::9 80", "no address that")):
        imported = _right(keepalived(_text("TCP_CHECK {\n }", around=f"{LOOP}{line}\n")))
        assert "pool" not in service(imported)
        assert any(why in one for one in said(imported, "wrong"))
