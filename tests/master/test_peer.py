"""Who asks is what the kernel says."""

from __future__ import annotations

import os
import pwd
import socket

from lbmaster.peer import local_peer


def test_a_local_peer_is_named_by_the_kernel() -> None:
    """User and process of whoever connected."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = local_peer(ours, "operator")
    assert peer.name == pwd.getpwuid(os.geteuid()).pw_name
    assert peer.origin == f"pid {os.getpid()} on the master's host"
    assert peer.right == "operator"
