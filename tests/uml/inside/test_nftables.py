"""A kernel whose nftables is not what our table needs: the guest's has it for bridges only.

(The rules themselves, and what they do to packets, are tested in tests/netns, with the kernel of the machine.)
"""

from __future__ import annotations

from tests.uml.inside import modules, planning

from lbminion.handlers.packet_rules import PacketRules
from lbminion.nftables import Nft
from lbstates.kinds.mark import Mark

MARK = Mark("tcp", "10.77.0.200", ("80", "443"), 7)


def test_a_kernel_without_nftables_is_named_with_the_way_out() -> None:
    rules = PacketRules()
    (error,) = planning.apply(rules, planning.plan(rules, [MARK]))
    assert "mark tcp 10.77.0.200 80,443: " in str(error)
    assert "linux-image-amd64" in str(error)
    rules.close()


def test_a_kernel_without_nftables_for_inet_is_named_with_the_way_out() -> None:
    modules.load("nf_tables")
    rules = PacketRules()
    (error,) = planning.apply(rules, planning.plan(rules, [MARK]))
    assert "CONFIG_NF_TABLES_INET" in str(error)
    assert "CONFIG_NF_TABLES_INET" in Nft().obstacle()
    rules.close()
