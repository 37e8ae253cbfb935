"""The targets by name; what each is stands in the modules `of_*`."""

from __future__ import annotations

from typing import Final

from . import of_keepalived, of_kernel, of_probes, of_states, of_wire
from .target import Target

TARGETS: Final = {
    target.name: target
    for target in (
        Target("envelope", of_wire.envelope, of_wire.genuine, longest=1500),
        Target("signed", of_wire.signed, of_wire.signed_seeds, longest=1500),
        Target("codec", of_wire.codec, of_wire.codec_seeds, longest=1500),
        Target("netlink", of_kernel.netlink, of_kernel.netlink_seeds, longest=1500),
        Target("packets", of_kernel.packets, of_kernel.packets_seeds),
        Target("probes", of_probes.probes, of_probes.probes_seeds, longest=1500),
        Target("fifo", of_keepalived.fifo, of_keepalived.fifo_seeds, longest=1100),
        Target("dump", of_keepalived.json_dump, of_keepalived.json_dump_seeds),
        Target("conf", of_keepalived.conf, of_keepalived.conf_seeds),
        Target("cluster", of_states.cluster, of_states.cluster_seeds),
        Target("desired", of_states.desired, of_states.desired_seeds),
        Target("edited", of_states.edited, of_states.edited_seeds, longest=25),
        Target("importing", of_states.importing, of_states.importing_seeds),
    )
}
