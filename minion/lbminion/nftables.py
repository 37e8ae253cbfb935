"""The nft program: reads and replaces our table. What is in it is written and read by `nft_rules`."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from typing import Final

from lbstates.kinds.clamp import Clamp
from lbstates.kinds.mark import Mark

from .errors import HostError
from .nft_rules import FAMILY, TABLE, Reading, Rule, decode, transaction

_SECONDS: Final = 10.0
_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_STANDARD_INPUT: Final = "/proc/self/fd/0"  # for "-" nft opens /dev/stdin, which a small machine need not have
_NOT_THERE: Final = "No such file or directory"
_UNSUPPORTED: Final = re.compile("not supported")
_NO_NFTABLES: Final = (
    "this kernel has no nftables for IPv4 and IPv6 in one table: boot one with nf_tables and CONFIG_NF_TABLES_INET, "
    "such as Debian's linux-image-amd64"
)


_TRIAL: Final = (Clamp("127.0.0.1", 1400), Mark("tcp", "127.0.0.1", ("1",), 1))


class NoNft(HostError):
    """The nft program is not installed."""

    def __init__(self) -> None:
        super().__init__("the program nft is not installed: install nftables (Debian: apt-get install nftables)")


class Nft:
    """Our table in the network namespace of the calling thread. Both methods raise `HostError`, and `NoNft`."""

    def __init__(self, program: str = "nft") -> None:
        self._program = program

    def read(self) -> Reading:
        """Read the table; one that is not there holds nothing, nor does a kernel that has no such tables."""
        done = self._run("--json", "--numeric", "--stateless", "list", "table", FAMILY, TABLE)
        if done.returncode:
            if _NOT_THERE in done.stderr or _UNSUPPORTED.search(done.stderr):
                return Reading((), ())
            raise HostError(f"cannot read the nftables table {FAMILY} {TABLE}: {_words(done)}")
        try:
            return decode(json.loads(done.stdout))
        except (ValueError, RecursionError):
            return Reading((), ("something that is not JSON",))

    def obstacle(self) -> str:
        """Say why this host cannot have such a table ("" when it can); changes nothing."""
        try:
            done = self._run("--check", "--json", "--file", _STANDARD_INPUT, text=json.dumps(transaction(_TRIAL)))
        except HostError as error:
            return str(error)
        return _words(done) if done.returncode else ""

    def replace(self, rules: Sequence[Rule]) -> None:
        """Make the table hold exactly these rules, at one stroke. Raises also `BadRule`."""
        done = self._run("--json", "--file", _STANDARD_INPUT, text=json.dumps(transaction(rules)))
        if done.returncode:
            raise HostError(f"nft refused the table {FAMILY} {TABLE}: {_words(done)}")

    def _run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":" + _PATH}
        try:
            return subprocess.run(
                [self._program, *arguments],
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                env=environment,
                check=False,
            )
        except FileNotFoundError:
            raise NoNft from None
        except OSError as error:
            raise HostError(f"cannot run {self._program}: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise HostError(f"{self._program} did not end within {_SECONDS:.0f} s") from None


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """Say what nft said first; the rest points into a text that it was given."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if not lines:
        return f"it ended with code {done.returncode} and said nothing"
    return f"{lines[0]} ({_NO_NFTABLES})" if _UNSUPPORTED.search(lines[0]) else lines[0]
