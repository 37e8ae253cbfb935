"""Keys and envelopes that the tests of the wire share."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lbwire.envelope import Envelope, Keys, key_id, seal
from lbwire.inbox import Inbox
from lbwire.messages import FromMaster, payload

HOST = "netology1"


class Master:
    """Signs messages as a master does, with a key made from `seed`."""

    def __init__(self, seed: bytes) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(seed * 32)

    @property
    def keys(self) -> Keys:
        return {key_id(self.key.public_key()): self.key.public_key()}

    def say(
        self,
        kind: str,
        audience: str,
        message: FromMaster | bytes,
        *,
        cluster: str = "web",
        number: int = 0,
        command: int = 0,
    ) -> bytes:
        body = message if isinstance(message, bytes) else payload(message)
        return seal(Envelope(kind, cluster, audience, number, command, body), self.key)


@pytest.fixture(scope="session")
def master() -> Master:
    return Master(b"\x01")


@pytest.fixture(scope="session")
def stranger() -> Master:
    return Master(b"\x02")


@pytest.fixture(scope="session")
def inbox(master: Master) -> Inbox:
    return Inbox(HOST, master.keys)
