"""Timeouts and daemons: what is requested reads back, rubbish is refused. The real kernel is asked in tests/uml."""

from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.errors import BadKernelMessage
from lbminion.netlink import ipvs_settings as settings
from lbminion.netlink.message import attribute, attributes
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.kinds.timeouts import Timeouts

from .kernel_bytes import attributes_of

DAEMON = SyncDaemon("master", 5, "eth1", 1472, "224.0.0.81", 8848, 1)
seconds = st.integers(0, 2**32 - 1)


@given(st.builds(Timeouts, tcp=seconds, tcpfin=seconds, udp=seconds))
def test_requested_timeouts_read_back(timeouts: Timeouts) -> None:
    assert settings.decode_timeouts(settings.set_timeouts_request(timeouts)) == timeouts


@given(
    st.builds(
        SyncDaemon,
        role=st.sampled_from(["master", "backup"]),
        sync_id=st.integers(0, 255),
        interface=st.sampled_from(["eth1", "eth1.100", "a" * 15]),
        maximum_length=st.integers(1024, 65487),
        group=st.sampled_from(["224.0.0.81", "ff02::81"]),
        port=st.integers(0, 65535),
        ttl=st.integers(0, 255),
    )
)
def test_a_requested_daemon_reads_back(daemon: SyncDaemon) -> None:
    assert settings.decode_daemon(settings.start_daemon_request(daemon)) == daemon


def test_the_port_of_a_daemon_is_in_native_byte_order() -> None:
    body = attributes(attributes(settings.start_daemon_request(DAEMON), 4)[3])
    assert body[7] == (8848).to_bytes(2, sys.byteorder)


@pytest.mark.parametrize("kind", [4, 5, 6])
def test_timeouts_without_one_of_the_three_are_refused(kind: int) -> None:
    fields = {number: bytes(4) for number in (4, 5, 6) if number != kind}
    with pytest.raises(BadKernelMessage, match=f"attribute {kind} has 0 bytes"):
        settings.decode_timeouts(bytes(4) + attributes_of(fields))


@pytest.mark.parametrize("kind", [1, 3, 4, 5, 7, 8])
def test_a_daemon_without_what_every_kernel_sends_is_refused(kind: int) -> None:
    fields = attributes(attributes(settings.start_daemon_request(DAEMON), 4)[3])
    del fields[kind]
    with pytest.raises(BadKernelMessage, match="IPVS"):
        settings.decode_daemon(bytes(4) + attribute(3, attributes_of(fields)))


def test_a_daemon_that_is_neither_master_nor_backup_is_refused() -> None:
    fields = attributes(attributes(settings.start_daemon_request(DAEMON), 4)[3]) | {1: (3).to_bytes(4, "little")}
    with pytest.raises(BadKernelMessage, match="neither master nor backup"):
        settings.decode_daemon(bytes(4) + attribute(3, attributes_of(fields)))
    with pytest.raises(BadKernelMessage, match="without a daemon"):
        settings.decode_daemon(bytes(4))


@pytest.mark.parametrize("interface", ["", "a" * 16, "a\0b"])
def test_an_interface_that_cannot_be_is_refused(interface: str) -> None:
    with pytest.raises(ValueError, match="is no name of an interface"):
        settings.start_daemon_request(msgspec.structs.replace(DAEMON, interface=interface))
