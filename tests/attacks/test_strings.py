"""Hostile strings, wherever one can be put: none ends a line, a block, a path or a sentence that is ours.

That odd values are findings is tested beside the cluster file (tests/states); here is what becomes of strings that are made
to break out: of keepalived.conf, of a rule of nft, of our directories, of a line of a log, and of the terminal.
"""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from lbmaster.cli.main import main
from lbmaster.config import Config
from lbminion import nft_rules
from lbservice import log
from lbstates.clusterfile import check
from lbstates.compile import compile_cluster
from lbstates.desired import RoleState, decode_state, encode_state
from lbstates.errors import StateError
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.mark import Mark
from lbstates.kinds.priority import Priority
from lbstates.resources import resources_for
from lbwire.codec import pack
from lbwire.events import KeepalivedDied, MinionStarted
from lbwire.messages import Event, Events, Health, Hello, Role
from tests.cluster_fields import fields
from tests.master.conftest import WEB, Refusal, Site, eventually
from tests.master.fake_minion import ask_to_join, new_keys
from tests.states.golden_clusters import FOLDERS, facts_of

MARK = "evil"
"""In every hostile string, and in nothing else."""
HOSTILE = (
    "../../evil", "/etc/evil", "evil\x00", "evil" * 2500, "\u202eevil", "evil\u2028x", "évil evil", "-evil", "--evil=x",
    "evil\n", "evil\nvrrp_script x {", "evil }", "evil;", 'evil"', "evil'", "$(evil)", "`evil`", "${evil}", "%evil", "evil\\",
    "\x1b[2Jevil", "\x1b]0;evil\x07", "\x9b31mevil", "evil\r", "evil!", "evil#x", "evil { jump x }", "@evil", "include evil",
    "evil\t", " evil", "evil\udc80", "",
)  # fmt: skip
LONG = 4096
"""More is no request to join: the connection is closed."""
FREE_TEXTS = {"body", "send", "expect"}
"""What a check compares or sends: it goes to a socket, and into no file. Any text may be in it."""
REFUSALS = (StateError, nft_rules.BadRule)
"""What the minion answers with `refused`."""
WORDS = {"path", "host", "sni", "name", "http", "https", "dns"}
"""What stands in the head of a request: one word, in no file either."""


def places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value of a document, and of every key of a mapping (which ends with None)."""
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield (*at, key, None)
            yield from places(inner, (*at, key))
    elif isinstance(tree, list):
        for number, inner in enumerate(tree):
            yield from places(inner, (*at, number))
    else:
        yield at


def attacked(tree: Any, at: tuple[Any, ...], value: str) -> Any:
    """Put a string at a place of a copy."""
    found = inner = copy.deepcopy(tree)
    *way, last = at
    if last is None:
        *way, key = way
        for step in way:
            inner = inner[step]
        inner[value] = inner.pop(key)
        return found
    for step in way:
        inner = inner[step]
    inner[last] = value
    return found


def ends_of(states: Sequence[RoleState]) -> Iterator[str]:
    """Yield every text that a host makes of its state: files, rules of nft, names of files and of kernel objects."""
    for state in states:
        for host, entry in state.hosts.items():
            resources = resources_for(state, host, facts_of(entry))
            yield from (resource.config for resource in resources if isinstance(resource, Keepalived))
            rules = [resource for resource in resources if isinstance(resource, Mark | Clamp)]
            yield json.dumps(nft_rules.transaction(rules))
            yield from (resource.text for resource in resources if isinstance(resource, Priority))
            yield from (repr(resource) for resource in resources)


def may_take(field: object, value: str) -> bool:
    """Whether a hostile string does no harm where this field ends."""
    word = value.isascii() and value.isprintable() and " " not in value
    return field in FREE_TEXTS or (field in WORDS and word) or (field == "auth_pass" and value == "-evil")


def documents() -> dict[str, Any]:
    """The golden clusters: together they use nearly all fields of the file."""
    return {folder.name: yaml.safe_load((folder / "cluster.yaml").read_text()) for folder in FOLDERS}


@pytest.mark.parametrize("name", documents())
def test_no_string_of_a_cluster_file_breaks_out(name: str) -> None:
    """Every value and every key of the golden clusters, one after the other, is replaced by a third of the hostile strings."""
    tree = documents()[name]
    for number, at in enumerate(places(tree)):
        for value in HOSTILE[number % 3 :: 3]:
            checked = check(json.dumps(attacked(tree, at, value)))
            if checked.cluster is None or not value:
                continue
            assert may_take(at[-1], value), (at, value)
            if at[-1] != "auth_pass":
                states = tuple(compile_cluster(checked.cluster).values())
                assert not any(MARK in text for text in ends_of(states)), (at, value)


@pytest.mark.parametrize("path", fields())
def test_no_field_of_the_model_takes_a_hostile_string(path: str) -> None:
    """Also those that no golden cluster has: wherever the model has a field, a finding refuses the string."""
    tree: Any = {"cluster": "c", "directors": {"d1": "10.0.0.1"}, "real_servers": {"r1": "10.0.0.2"}}
    tree |= {"vips": {"v1": "10.0.0.9/24"}, "services": [{"vip": "v1", "port": 80}]}
    for value in HOSTILE:
        if not value:
            continue
        hostile: Any = value
        for step in reversed(path.replace("[]", ".[]").split(".")):
            hostile = [hostile] if step == "[]" else {step if step != "*" else "x": hostile}
        checked = check(json.dumps(tree | hostile))
        assert checked.cluster is None or may_take(path.rpartition(".")[2], value), value


@pytest.mark.parametrize("name", documents())
def test_a_captured_master_cannot_break_out_of_a_state_either(name: str) -> None:
    """It signs what it likes: a minion refuses such a state, or makes no text of the string."""
    states = compile_cluster(check(json.dumps(documents()[name])).cluster)  # type: ignore[arg-type] # golden: no errors
    for state in states.values():
        tree = encode_state(state)
        for number, at in enumerate(places(msgspec.to_builtins(tree))):
            for value in HOSTILE[number % 3 :: 3]:
                if "\udc80" in value:
                    continue  # no message can hold it
                try:
                    received = decode_state(attacked(msgspec.to_builtins(tree), at, value))
                    texts = list(ends_of((received,)))
                except REFUSALS:
                    continue
                assert at[-1] == "auth_pass" or not any(MARK in text for text in texts), (at, value)


# --- a master, and what is printed of what it was told --------------------------------------------------------------


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the daemons' own log would print, at level debug."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.OneLine("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.setLevel(before)


def harmless(text: str) -> bool:
    """Whether nothing in it acts on a terminal or turns the direction of text."""
    return not any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one not in "\n\t" for one in text)


async def lbmaster(config: Config, *words: str) -> str:
    """Run a command of lbmaster against the master; gives all that it prints."""
    command = ["--socket", str(config.control_socket), *words]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
    return result.stdout + result.stderr


def files(config: Config) -> set[Path]:
    """All files around a master's directories."""
    return {file for file in config.state_dir.parent.rglob("*") if file.is_file()}


def written(printed: io.StringIO) -> list[str]:
    """The lines of the log; each has to be a record, or an indented line of a traceback."""
    lines = printed.getvalue().split("\n")[:-1]
    for line in lines:
        assert harmless(line), line
        assert line.startswith(("DEBUG ", "INFO ", "WARNING ", "ERROR ", "CRITICAL ", "  ")), line
    return lines


@pytest.mark.parametrize("member", ["name", "token", "product"])
async def test_nothing_hostile_can_join(site: Site, printed: io.StringIO, member: str) -> None:
    """As a name, a token or a product: it is refused, no key of it is kept, and no file made."""
    before = files(site.config)
    for value in HOSTILE:
        if not value and member != "name":
            continue
        request = {"name": "r1", "token": "wrong", "product": ""} | {member: value}
        try:
            raw = pack(request)
        except UnicodeEncodeError:
            continue
        if len(value) > LONG:
            with pytest.raises(TimeoutError):
                await ask_to_join(site.ports["join"], site.server_key, raw, new_keys())
            continue
        answer = await ask_to_join(site.ports["join"], site.server_key, raw, new_keys())
        assert answer.state == "rejected"
        assert member == "name" or "token" in answer.text or "understood" in answer.text
    assert (await site.ask("keys.list"))["keys"] == []
    assert harmless(await lbmaster(site.config, "keys", "list"))
    assert files(site.config) == before
    written(printed)


async def test_what_a_captured_minion_says_is_printed_harmlessly(site: Site, printed: io.StringIO) -> None:
    """In hello, samples, events of every field and unknown types: commands print one line each, and so does the log."""
    await site.cluster()
    minion = site.minions["d1"]
    roles = {value: Role(value, 100, (value,)) for value in HOSTILE[:-2]}
    minion.roles, minion.health = roles, Health(
        failing={value: value[:4096] for value in HOSTILE[:-2]}, unproven=HOSTILE[:-2], frozen=HOSTILE[:-2],
        sorry=HOSTILE[:-2], suspected=HOSTILE[:-2], silent=HOSTILE[:-2],
    )  # fmt: skip
    for value in HOSTILE[:-2]:
        short = value[:4096]
        minion.send(Hello(short, short, minion.boot, 0, minion.holdings()))
        minion.report(MinionStarted(value), KeepalivedDied((value,)))
        minion.report(MinionStarted(value), cluster=value)
    for number, value in enumerate(HOSTILE[:-2]):
        odd = Event(2, number + 1, "health.changed", 1.0, "web", {value: value, "state": value})
        minion.send(Events(0, 0, (odd,)))
    minion.sample()
    await eventually(lambda: minion.acks and minion.acks[-1][0] == 2)
    for words in (
        ("events", "--since", "0"), ("events", "--since", "0", "--json"), ("status",), ("status", "--json"), ("status", "web"),
        ("keys", "list"), ("stats",), ("history", "web"), ("rollout", "status"),
    ):  # fmt: skip
        shown = await lbmaster(site.config, *words)
        assert harmless(shown), (words, shown)
        if words == ("events", "--since", "0"):
            assert all(line.split("\t")[0].isdecimal() for line in shown.splitlines()), shown
    written(printed)


async def test_hostile_arguments_of_verbs_change_nothing(site: Site, printed: io.StringIO) -> None:
    """Every verb with every argument that any verb has: refused, or answered; no file is made anywhere, no line forged."""
    await site.cluster()
    before = files(site.config)
    with pytest.raises(Refusal) as refusal:
        await site.ask("there is no such verb")
    verbs = str(refusal.value).partition("there are: ")[2].split(", ")
    changing = {"keys.token", "keys.client", "push", "plan"}
    for verb in sorted(set(verbs) - {"events"}):
        for value in HOSTILE:
            names = (
                "name",
                "fingerprint",
                "cluster",
                "host",
                "vip",
                "to",
                "director",
                "instance",
                "by",
                "reason",
                "origin",
            )
            for argument in names:
                given = {argument: value} | ({"text": WEB, "ttl": 5} if verb in changing else {})
                try:
                    raw = msgspec.json.encode({"verb": verb, **given})
                except UnicodeEncodeError:
                    break
                reader, writer = await asyncio.open_unix_connection(site.config.control_socket, limit=8 * 1024 * 1024)
                writer.write(raw + b"\n")
                lines = (await asyncio.wait_for(reader.read(), 30)).splitlines()
                writer.close()
                assert "error" in json.loads(lines[-1]) or "result" in json.loads(lines[-1])
    assert {file for file in files(site.config) - before if MARK in str(file)} == set()
    for words in (("events", "--since", "0"), ("history", "web"), ("status",), ("keys", "list")):
        assert harmless(await lbmaster(site.config, *words))
    written(printed)


async def test_hostile_words_on_the_command_line_are_printed_harmlessly(site: Site) -> None:
    """As the name of a cluster, host, key, file, option or command."""
    commands: tuple[list[str], ...] = (
        ["status"], ["stats"], ["history"], ["rollback"], ["diff"], ["drain"], ["undrain"], ["switchover"], ["evacuate"],
        ["doctor"], ["reconcile"], ["show"], ["check"], ["plan"], ["push"], ["import", "--keepalived"], ["keys", "accept"],
        ["keys", "revoke"], ["keys", "token", "--name"], ["events", "--type"], ["events", "--limit", "1", "--host"], ["rollout", "status"], [],
        ["maintenance", "r1"], ["completion"], ["--key"], ["--socket"], ["--config"],
    )  # fmt: skip
    for words in commands:
        for value in HOSTILE:
            if "\x00" in value or "\udc80" in value:
                continue
            shown = await lbmaster(site.config, *words, value)
            assert harmless(shown), (words, value, shown)
