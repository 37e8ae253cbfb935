"""Targets: the cluster file, the desired state that a minion is given, and other tools' configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from lbstates.clusterfile import check
from lbstates.compile import compile_cluster
from lbstates.desired import RoleState, decode_state, encode_state
from lbstates.errors import BadState, CannotDerive
from lbstates.importing import CannotImport, Order, import_cluster
from lbstates.importing.importer import Given
from lbstates.importing.remarks import Unreadable
from lbstates.kinds.keepalived import Keepalived
from lbstates.resources import HostFacts, resources_for
from lbwire.codec import pack, unpack
from lbwire.errors import Refused

_ROOT: Final = Path(__file__).resolve().parents[2]
_FILES: Final = (_ROOT / "vagrant/cluster.yaml", *sorted((_ROOT / "tests/states/golden").glob("*/cluster.yaml")))
_SAMPLES: Final = _ROOT / "tests/states/importing/samples"
_BLOCK: Final = re.compile(r"(global_defs|(vrrp_instance|vrrp_sync_group|vrrp_script) [A-Za-z0-9_.-]+) \{")
"""All that a line of our keepalived.conf can be that does not lie inside a block."""


def cluster(data: bytes) -> None:
    """Whatever the text: findings, each in a line that exists, or a cluster that can be compiled and derived."""
    text = data.decode(errors="replace")
    checked = check(text)
    lines = max(1, len(text.splitlines()))
    assert all(1 <= finding.line <= lines and finding.wrong and finding.right for finding in checked.findings)
    assert (checked.cluster is None) == any(finding.severity == "error" for finding in checked.findings)
    if checked.cluster is None:
        return
    for state in compile_cluster(checked.cluster).values():
        assert decode_state(encode_state(state)) == state
        _derive(state)


def cluster_seeds() -> Iterator[bytes]:
    yield from (file.read_bytes() for file in _FILES)
    yield b"a: &a [1]\nb: *a\n"
    yield b"- !!python/object:os.system x\n---\n? [1]\n: {2: 3}\n"


def desired(data: bytes) -> None:
    """A state that is signed but that no master compiled: not understood, or nothing in it leaves its place."""
    try:
        state = decode_state(unpack(data))
    except (Refused, BadState):
        return
    assert decode_state(unpack(pack(encode_state(state)))) == state
    _derive(state)


def desired_seeds() -> Iterator[bytes]:
    for file in _FILES:
        found = check(file.read_text()).cluster
        if found is None:
            raise AssertionError(file)
        yield from (pack(encode_state(state)) for state in compile_cluster(found).values())


def edited(data: bytes) -> None:
    """A compiled state in which some values were exchanged for hostile ones: as `desired`, but it gets much further.

    The first byte chooses the state; then three bytes each time: where (two), and which value.
    """
    if not data:
        return
    states = _compiled()
    plain: Any = unpack(states[data[0] % len(states)])
    for at in range(1, len(data) - 2, 3):
        places = list(_places(plain))
        container, key = places[int.from_bytes(data[at : at + 2], "big") % len(places)]
        value = deepcopy(HOSTILE[data[at + 2] % len(HOSTILE)])
        if data[at + 2] >> 7 and isinstance(container, dict) and isinstance(value, str):
            container[value] = container.pop(key)
        else:
            container[key] = value
    desired(pack(plain))


HOSTILE: Final = (
    "", "a\nb", "a\n}\nvrrp_script x {\n", "eth0 }", "x {", "#", "!", "a b", '"', "\\", "../x", "/etc/passwd", "\0", "-x", "--use-file=x",
    "$A", "${A}", "@d1", "~SEQ(A,1,3)", "\x1b[2J", "\u202e", "\u0661", "\ud7ff", "a" * 300, "A", "d1", "web", "eth1", "rr", "lo", "all",
    "10.0.0.1", "10.0.0.1/24", "10.0.0.1/24\n", "010.0.0.1", "::1", "fe80::1%eth0", "::ffff:10.0.0.1/128", "0.0.0.0/0", "224.0.0.18",
    "80", "80-81", "0", "1-65536", "tcp", "direct", "MASTER", "secret 1",
    -1, 0, 1, 2, 3, 255, 256, 65535, 65536, 2**31, 2**32, 2**63, 0.01, 1e9, True, False, None, [], {}, ["a\n"], {"a\n": 1},
)  # fmt: skip
"""What would leave its place in a file, a path, a program's arguments or on a terminal; numbers beside their limits; and what is
right somewhere."""


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Name every value inside: the container, and its key or index."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(members):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)


@lru_cache(1)
def _compiled() -> tuple[bytes, ...]:
    return tuple(desired_seeds())


def edited_seeds() -> Iterator[bytes]:
    for number in range(len(_compiled())):
        yield bytes([number])
        yield bytes([number, 0, 5, 2, 0, 9, 200])


def _derive(state: RoleState) -> None:
    for host, entry in state.hosts.items():
        interfaces = dict.fromkeys(entry.addresses, "eth0")
        try:
            resources = resources_for(state, host, HostFacts(interfaces, "2.2.7", "/run/fifo", lock="/run/lock"))
        except CannotDerive:
            continue
        for resource in resources:
            assert resource.identity.isprintable()
            if isinstance(resource, Keepalived):
                _nothing_was_injected(resource.config)


def _nothing_was_injected(config: str) -> None:
    depth = 0
    for line in config.split("\n")[1:]:
        assert line.isprintable()
        assert line.isascii()
        assert not line or depth or _BLOCK.fullmatch(line), line
        depth += (line.endswith("{")) - (line.strip() == "}")
    assert depth == 0


class _Nothing:
    """A directory without any file."""

    def find(self, pattern: str, directory: str) -> Sequence[str]:
        return ()

    def read(self, name: str) -> str:
        raise Unreadable("it is not there")

    def directory(self, name: str) -> str:
        return "/etc/keepalived"


def importing(data: bytes) -> None:
    """The first byte says whose text it is: keepalived's, ldirectord's or ipvsadm's."""
    text = data[1:].decode(errors="replace")
    match data[:1]:
        case b"l":
            order = Order(ldirectord=[Given(None, "l.cf", text)])
        case b"i":
            order = Order(ipvsadm=[Given("d1", "table", text)])
        case _:
            order = Order(keepalived=[Given("d1", "d1.conf", text)])
    try:
        imported = import_cluster(order, _Nothing())
    except CannotImport:
        return
    assert isinstance(yaml.load(imported.text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), dict)
    assert all(remark.describe() for remark in imported.remarks)
    check(imported.text)


def importing_seeds() -> Iterator[bytes]:
    for file in sorted(_SAMPLES.rglob("*")):
        if file.is_file() and file.stat().st_size < 1 << 14:
            sort = b"l" if "ldirectord" in str(file) else b"i" if "ipvsadm" in str(file) else b"k"
            yield sort + file.read_bytes()
    yield b"i-A -t 10.0.0.1:80 -s rr -p 60\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1\n"
    yield b"lvirtual=10.0.0.1:80\n\treal=10.0.0.2:80 gate 5\n\tscheduler=wrr\n\tprotocol=tcp\n"
    yield (
        b"kvrrp_instance V {\n virtual_router_id 5\n advert_int 0.5\n virtual_ipaddress { 10.0.0.1/24 dev eth0\n fd00::1\n }\n"
        b" virtual_routes { default via 10.0.0.9 table 5\n }\n virtual_rules { from 10.0.0.0/8 table 5\n }\n}\n"
        b"virtual_server fwmark 5 { protocol TCP\n lb_algo rr\n real_server 10.0.0.2 80 { weight 1 } }\n"
        b"$A=1\n~SEQ(B,1,3) static_ipaddress\n@d1 include x*\n"
    )
