"""Kernel settings in a real network namespace, and below a root of plain files."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from lbminion import sysctl
from lbminion.errors import ChangeError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.netns.conftest import Namespace

ARP_IGNORE = "net/ipv4/conf/all/arp_ignore"


@pytest.mark.needs_root
def test_a_written_value_is_read_back(netns: Namespace) -> None:
    netns.run(sysctl.write, ARP_IGNORE, "1")
    assert netns.run(sysctl.read, ARP_IGNORE) == "1"
    netns.run(sysctl.write, ARP_IGNORE, " 2 \n")
    assert netns.run(sysctl.read, ARP_IGNORE) == "2"


@pytest.mark.needs_root
def test_the_name_of_an_interface_may_hold_dots(netns: Namespace) -> None:
    netns.ip("link", "add", "v0.100", "type", "veth", "peer", "name", "v1")
    netns.run(sysctl.write, "net/ipv4/conf/v0.100/arp_announce", "2")
    assert netns.run(sysctl.read, "net/ipv4/conf/v0.100/arp_announce") == "2"


@pytest.mark.needs_root
def test_white_space_in_lists_is_normalised(netns: Namespace) -> None:
    netns.run(sysctl.write, "net/ipv4/ip_local_port_range", "20000\t30000")
    assert netns.run(sysctl.read, "net/ipv4/ip_local_port_range") == "20000 30000"


@pytest.mark.needs_root
def test_a_bad_value_is_refused_with_its_place(netns: Namespace) -> None:
    with pytest.raises(ChangeError) as caught:
        netns.run(sysctl.write, ARP_IGNORE, "many")
    assert str(caught.value) == (
        f"sysctl {ARP_IGNORE}: the kernel does not take 'many' as the value of /proc/sys/{ARP_IGNORE} (EINVAL)"
    )


@pytest.mark.parametrize("key", ["net/ipv4/conf/nowhere0/arp_ignore", "net/no_such_setting"])
def test_a_missing_setting_is_named(key: str) -> None:
    for attempt in (lambda: sysctl.read(key), lambda: sysctl.write(key, "1")):
        with pytest.raises(ChangeError, match=f"/proc/sys/{key} is not there") as caught:
            attempt()
        assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize("key", ["../secret", "net/../../secret", "/etc/passwd", "net//x", "", ".", "net/./x", "a\0b"])
def test_a_key_cannot_leave_the_root(tmp_path: Path, key: str) -> None:
    root = tmp_path / "sys"
    (root / "net").mkdir(parents=True)
    (tmp_path / "secret").write_text("untouched")
    for attempt in (lambda: sysctl.read(key, root), lambda: sysctl.write(key, "1", root)):
        with pytest.raises(ChangeError, match="is no path below"):
            attempt()
    assert (tmp_path / "secret").read_text() == "untouched"


def test_a_directory_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    for attempt in (lambda: sysctl.read("net", tmp_path), lambda: sysctl.write("net", "1", tmp_path)):
        with pytest.raises(ChangeError, match="is a directory"):
            attempt()


def test_without_rights_the_error_says_what_is_needed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "setting").write_text("0\n")
    (tmp_path / "setting").chmod(0o600)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ChangeError, match="CAP_NET_ADMIN"):
            sysctl.read("setting", tmp_path)
    finally:
        os.seteuid(0)
