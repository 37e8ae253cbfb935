"""What a keepalived.conf says of its instances."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbminion.doctor.configuration import Instance, instances

TEXT = """\
global_defs {
    router_id d1
    vrrp_version 3
}

vrrp_instance web {
    state BACKUP   # on both
    interface eth1.100
    virtual_router_id 51
    priority 250
    advert_int 0.2
    track_script {
        lbminion
    }
    authentication {
        auth_type PASS
        auth_pass secret
    }
    virtual_ipaddress {
        10.0.0.100/24 dev eth1
        10.0.0.30/24 dev eth1
    }
    virtual_ipaddress_excluded {
        10.0.0.20/24 dev eth1
    }
}

vrrp_instance six {
    version 3
    interface eth0
    virtual_ipaddress {
        fd00::100/64 dev eth0
    }
}
"""


def test_all_instances_are_read() -> None:
    """With the file's defaults; the first VIP first, since the election goes by its family; those that are not advertised, too."""
    found = instances(TEXT)
    vips = ("10.0.0.100", "10.0.0.20", "10.0.0.30")
    assert found["web"] == Instance("web", "eth1.100", 51, 3, 250, 0.2, vips, dict.fromkeys(vips, "eth1"), vips[::2])
    assert found["six"].vips == ("fd00::100",)
    assert (found["web"].family, found["six"].family) == (4, 6)


def test_a_file_of_somebody_else_is_read_as_far_as_it_goes() -> None:
    """Numbers that are none are 0, what is unknown is skipped, a missing brace ends with the file."""
    found = instances("vrrp_instance a {\n  priority high\n  advert_int x\n  virtual_ipaddress {\n 10.0.0.1\n")
    assert found["a"] == Instance("a", priority=0, interval=0.0, vips=("10.0.0.1",), advertised=("10.0.0.1",))
    assert instances("") == {}


def test_numbers_that_are_none_are_nothing() -> None:
    """Nor are numbers of a length that Python refuses to read."""
    text = "vrrp_instance a {\n priority %s\n advert_int %s\n}\n"
    for number in ("1" * 5000, "\u0663", "-1", "1e5"):
        assert instances(text % (number, "1"))["a"].priority == 0
    for seconds in ("inf", "nan", "1e999", "1" * 5000):
        assert instances(text % ("1", seconds))["a"].interval == 0.0


def test_a_brace_too_many_or_any_depth_of_blocks_costs_nothing_else() -> None:
    """What is read without recursion cannot end the examination."""
    sound = "vrrp_instance a {\n priority 7\n}\n"
    assert instances("}\n" + sound)["a"].priority == 7
    assert instances("x {\n" * 100_000 + "}\n" * 100_000 + sound)["a"].priority == 7


@given(st.text(alphabet="vrp_instance {}\n#!a1.:/ ", max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    """It never raises."""
    assert isinstance(instances(text), dict)
