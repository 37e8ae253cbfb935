"""Making the file of a client's key: the secret half is made here, and only the public one goes to the master."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import zmq

from lbmaster.network import BadKey, split
from lbmaster.protocol import Json
from lbservice.keys import fingerprint

from . import exits
from .answers import ClientMade, read
from .context import Failure


def make(path: Path, announce: Callable[[str], Json], address: str) -> ClientMade:
    """Write the file (0600, and never over another), and have the key accepted. Raises `Failure`."""
    try:
        host, port = split(address) if address else ("", 0)
    except BadKey as error:
        raise Failure(str(error), exits.USAGE, "bad_address") from None
    public, secret = zmq.curve_keypair()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Failure(
            f"{path} exists, and is not overwritten: name another file by --out", exits.USAGE, "exists"
        ) from None
    except OSError as error:
        raise Failure(
            f"cannot write {path}: {error.strerror}; name another file by --out", exits.USAGE, "bad_file"
        ) from None
    with os.fdopen(descriptor, "w") as file:
        try:
            made = read(announce(fingerprint(public)), ClientMade)
        except BaseException:
            path.unlink()
            raise
        where = (f"[{host}]" if ":" in host else host) + f":{port if ':' in address else made.port}" if host else ""
        file.write(
            "# A key of `lbmaster keys client`: whoever has it can ask the master. Keep it to yourself.\n"
            f"secret = {json.dumps(secret.decode())}\n"
            f"master = {json.dumps(made.master)}\n"
            f"address = {json.dumps(where)}\n"
        )
        file.flush()
        os.fsync(file.fileno())
    return made
