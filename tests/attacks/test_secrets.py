"""Secrets: in no log at any level, in no journal, in no answer to a subscriber, and in no file that others can read."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from lbmaster import identity
from lbmaster.audit import SUBSCRIBERS
from tests.master.conftest import WEB, Site, eventually

PASSWORD = "pA55w0rd"
SECRET_WEB = WEB.replace("vips:", f"vrrp:\n  auth_pass: {PASSWORD}\nvips:")


async def test_no_secret_is_logged_at_any_level_or_journalled(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Tokens, passwords of VRRP and keys, through joining, a push, a refused push and a revocation."""
    caplog.set_level("DEBUG")
    token = (await site.ask("keys.token", ttl=60, name="later"))["token"]
    await site.cluster()
    pushed = await site.ask("push", text=SECRET_WEB, by="alice")
    assert pushed["outcome"] == "converged"
    with pytest.raises(Exception, match="cluster"):
        await site.ask("push", text=SECRET_WEB.replace("port: 80", f"port: {PASSWORD}x"))
    late = await site.minion("late")
    await late.join(site.ports, site.server_key, token)
    await site.ask("keys.revoke", name="r2")
    state = site.config.state_dir
    secrets = {
        "token": token, "password": PASSWORD, "transport key": identity.curve_path(state).read_text().strip(),
        "signing key": identity.signing_path(state).read_bytes().hex(), "a minion's key": late.keys.secret.decode(),
    }  # fmt: skip
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''} {record.__dict__}" for record in caplog.records)
    journalled = json.dumps(await site.events())
    for name, secret in secrets.items():
        assert secret not in logged, name
        assert secret not in journalled, name


async def test_a_subscriber_is_told_no_password(site: Site) -> None:
    """Whatever a subscriber may ask: the cluster file is not in the answers."""
    await site.cluster()
    assert (await site.ask("push", text=SECRET_WEB))["outcome"] == "converged"
    for verb in sorted(SUBSCRIBERS - {"events"}):
        assert PASSWORD not in json.dumps(await site.ask(verb)), verb
    assert PASSWORD not in json.dumps(await site.events())


async def test_nothing_of_the_master_is_readable_for_others(site: Site) -> None:
    """Its state directory is closed, and each file in it as well; below /run are sockets with rights of their own."""
    old = os.umask(0)
    try:
        await site.cluster()
        await site.ask("push", text=SECRET_WEB)
    finally:
        os.umask(old)
    assert stat.S_IMODE(site.config.state_dir.stat().st_mode) == 0o700
    _closed(site.config.state_dir)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.config.runtime_dir.iterdir()}
    assert modes == {"control.sock": 0o600, "events.sock": 0o660}


def _closed(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


async def test_a_token_is_kept_as_a_digest(site: Site) -> None:
    """Who reads the master's database cannot join with what is in it."""
    token = (await site.ask("keys.token", ttl=60))["token"]
    await eventually(lambda: True)
    for path in site.config.state_dir.iterdir():
        if path.is_file():
            assert token.encode() not in path.read_bytes()
    await asyncio.sleep(0)
