"""Joining a master: the host's key is made here and never leaves, the master's keys are pinned from then on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import zmq
import zmq.asyncio

from lbservice.files import private_directory
from lbservice.keys import CurvePair, fingerprint, from_fingerprint, load_or_make_curve
from lbwire.errors import Refused
from lbwire.join import TOKEN_CHARACTERS, JoinAnswer, JoinRequest, decode_answer, encode
from lbwire.messages import Name

from .config import JOIN_PORT, BadConfig, Config, Master, read_config, write_config
from .errors import HostError
from .product import PRODUCT

ANSWER_SECONDS: Final = 5.0
ASK_AGAIN_SECONDS: Final = 1.0
LAST_PORT: Final = 65535


class NotJoined(HostError):
    """The master could not be reached, or said no."""


@dataclass(frozen=True, slots=True)
class Joining:
    """What `lbminion join` was told."""

    master: str
    fingerprint: str
    token: str
    name: str
    timeout: float
    state_directory: Path
    runtime_directory: Path
    keepalived_config: Path


async def join(joining: Joining, config: Path, say: Callable[[str], object]) -> None:
    """Ask until accepted, then write the configuration; of an existing one the operator's settings are kept.

    Raises `NotJoined`, `BadConfig` (joined to another master already; a bad name), `ValueError`, `OSError`.
    """
    server_key = from_fingerprint(joining.fingerprint)
    known = _known(joining, config)
    keys = load_or_make_curve(private_directory(joining.state_directory) / "curve.key")
    say(f"this host is {joining.name}, its key {fingerprint(keys.public)}")
    address, port = split_address(joining.master)
    answer = await _accepted(joining, f"tcp://{_bracketed(address)}:{port}", server_key, keys, say)
    master = Master(
        address=address,
        broadcast_port=answer.broadcast_port,
        uplink_port=answer.uplink_port,
        fingerprint=joining.fingerprint,
        signing_key=answer.signing_key.hex(),
    )
    wanted = msgspec.structs.replace(
        known or Config(joining.name, master),
        name=joining.name,
        master=master,
        state_directory=str(joining.state_directory),
        runtime_directory=str(joining.runtime_directory),
        keepalived_config=str(joining.keepalived_config),
    )
    if wanted != known:
        write_config(config, wanted)
    say(f"accepted; the master's keys are pinned in {config}. Start the service: systemctl enable --now lbminion")


def _known(joining: Joining, config: Path) -> Config | None:
    """Check what was given, and read the configuration of an earlier join if there is one."""
    try:
        msgspec.convert(joining.name, Name)
    except msgspec.ValidationError:
        raise BadConfig(
            f"{joining.name!r} is no host name: letters a-z, digits, `-` and `.`; give one by --name"
        ) from None
    if len(joining.token) > TOKEN_CHARACTERS:
        raise BadConfig("the token is too long: give it as `lbmaster keys token` printed it")
    if not config.exists():
        return None
    known = read_config(config)
    if from_fingerprint(known.master.fingerprint) != from_fingerprint(joining.fingerprint):
        raise BadConfig(f"{config} names another master ({known.master.address}); move the file away to join this one")
    return known


def split_address(text: str) -> tuple[str, int]:
    """Part ADDR[:PORT] ("[2001:db8::1]:7413" for IPv6); raises `ValueError`."""
    host, bracket, rest = text.rpartition("]") if text.startswith("[") else ("", "", text)
    address, colon, port = (host.lstrip("["), *rest.partition(":")[1:]) if bracket else _plain(text)
    if not address or (colon and not (port.isdecimal() and 0 < int(port) <= LAST_PORT)):
        raise ValueError(f"{text!r} is no address: give ADDR, ADDR:PORT (1 to {LAST_PORT}) or [IPV6]:PORT")
    return address, int(port) if port else JOIN_PORT


def _plain(text: str) -> tuple[str, str, str]:
    """An IPv6 address without brackets has no port."""
    return (text, "", "") if text.count(":") > 1 else text.partition(":")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


async def _accepted(
    joining: Joining, endpoint: str, server_key: bytes, keys: CurvePair, say: Callable[[str], object]
) -> JoinAnswer:
    deadline = time.monotonic() + joining.timeout
    told = False
    while True:
        answer = await _ask(joining, endpoint, server_key, keys)
        if answer is not None and answer.state == "accepted":
            return answer
        if answer is not None and answer.state == "rejected":
            raise NotJoined(f"the master refused: {answer.text}")
        if time.monotonic() > deadline:
            if answer is None:
                raise NotJoined(
                    f"no answer from {endpoint} in {joining.timeout:.0f} s: is `lbmaster serve` running there, "
                    "is the port open, and is the fingerprint that of this master?"
                )
            raise NotJoined(f"not accepted within {joining.timeout:.0f} s: {answer.text}; then run this again")
        if answer is not None and not told:
            say(
                f"waiting to be accepted: run `lbmaster keys accept {joining.name}` on the master, after comparing the key"
            )
            told = True
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def _ask(joining: Joining, endpoint: str, server_key: bytes, keys: CurvePair) -> JoinAnswer | None:
    """Ask once, on a connection of its own; None when nothing came back in time."""
    context = zmq.asyncio.Context()
    try:
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IPV6, 1)
        socket.curve_serverkey = server_key
        socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise NotJoined(f"{endpoint}: {error}; give the master's address") from error
        await socket.send(encode(JoinRequest(name=joining.name, token=joining.token, product=PRODUCT)))
        if not await socket.poll(round(ANSWER_SECONDS * 1000)):
            return None
        return decode_answer(await socket.recv())
    except Refused as error:
        raise NotJoined(f"{endpoint} does not speak our protocol: {error}") from error
    finally:
        context.destroy(linger=0)
