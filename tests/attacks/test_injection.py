"""Hostile strings in a cluster file, or in a state that a captured master signed: none becomes configuration of another kind.

Each text of each field is replaced, one at a time, by something that would be a directive of its own in keepalived.conf, an
nft rule, a path outside, a line of a log or a command of a terminal. It is refused, or it stays data.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbstates.clusterfile import ClusterFileError, parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, decode_state, encode_state
from lbstates.errors import StateError
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import render
from lbwire.codec import pack, unpack

GOLDEN = Path(__file__).parents[1] / "states" / "golden"
FILES = sorted(GOLDEN.rglob("*.yaml"))
DIRECTIVE = "notify_master /bin/evil"
HOSTILE = (
    f"x\n{DIRECTIVE}\n", f"x }} {DIRECTIVE} {{", f'x" {DIRECTIVE} "', f"x\r{DIRECTIVE}", f"x\u2028{DIRECTIVE}", "x\x00y",
    f"x ! {DIRECTIVE}", f"x # {DIRECTIVE}", "include /etc/shadow", "../../../../etc/passwd", "/etc/../evil", "-x", "--evil=1",
    "\x1b[2J\x1b]0;evil\x07", "${evil}", "$EVIL", "@evil ^", "~SEQ(a,b)", "%s%n{0}", "ｅｖｉｌ", "\u202eevil", "x" * 10_000, "",
)  # fmt: skip


def places(plain: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Find every text in a tree, and every key."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield (*path, ("key", key))
            yield from places(value, (*path, key))
    elif isinstance(plain, list | tuple):
        for place, value in enumerate(plain):
            yield from places(value, (*path, place))
    elif isinstance(plain, str):
        yield path


def replaced(plain: Any, path: tuple[Any, ...], text: str) -> Any:
    """Put a text there."""
    tree = copy.deepcopy(plain)
    at = tree
    for step in path[:-1]:
        at = at[step]
    match path[-1]:
        case ("key", key):
            at[text] = at.pop(key)
        case step:
            at[step] = text
    return tree


def rendered(state: DirectorState, host: str) -> str:
    """Write the keepalived.conf of a host that has every interface that could be meant."""
    plain = encode_state(state)
    addresses = [address for it in state.hosts.values() for address in it.addresses]
    mtus = {
        text: 1500 for path in places(plain) if isinstance(path[-1], str) and isinstance(text := at(plain, path), str)
    }
    return render(
        state, host, HostFacts(dict.fromkeys(addresses, "eth1"), "2.2.8", "/run/fifo", "/run/lock", mtus=mtus)
    )


def at(plain: Any, path: tuple[Any, ...]) -> Any:
    """Read what is there."""
    for step in path:
        plain = plain[step]
    return plain


def unharmed(text: str) -> None:
    """No line of a keepalived.conf begins with what was smuggled, and no control character is in it."""
    for line in text.splitlines():
        words = line.split()
        assert not words or words[0] not in ("notify_master", "include"), line
        assert "/bin/evil" not in words, line
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\u2028" not in text
    assert "$" not in text
    assert "~SEQ" not in text


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(GOLDEN)))
def test_no_text_of_a_cluster_file_becomes_a_directive(file: Path) -> None:
    """Nor a path outside, or a control character."""
    plain = yaml.safe_load(file.read_text())
    for number, path in enumerate(places(plain)):
        # A part of them each: reading a file takes some milliseconds.
        for hostile in HOSTILE[number % 4 :: 4]:
            text = yaml.safe_dump(replaced(plain, path, hostile), allow_unicode=True)
            try:
                compiled = compile_cluster(parse(text, "cluster.yaml"))
                for state in dict(compiled.items()).values():
                    if isinstance(state, DirectorState):
                        for host in state.hosts:
                            unharmed(rendered(state, host))
            except (ClusterFileError, StateError):
                continue


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(GOLDEN)))
def test_a_captured_master_cannot_smuggle_a_directive_into_a_state(file: Path) -> None:
    """It can declare what a cluster file can, and nothing more: a host checks each text of a state by itself."""
    for state in dict(compile_cluster(parse(file.read_text(), file.name)).items()).values():
        if not isinstance(state, DirectorState):
            continue
        plain = unpack(pack(encode_state(state)))
        for number, path in enumerate(places(plain)):
            for hostile in HOSTILE[number % 3 :: 3]:
                try:
                    decoded = decode_state(replaced(plain, path, hostile))
                    assert isinstance(decoded, DirectorState)
                    for host in decoded.hosts:
                        unharmed(rendered(decoded, host))
                except StateError:
                    continue
