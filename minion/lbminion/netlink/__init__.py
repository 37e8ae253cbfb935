"""Talks to the kernel by netlink: the IPVS table, and the addresses of the host.

`message` and all `ipvs_*` are pure (bytes to values and back); `transport` and `ipvs` do the I/O of IPVS in netlink of
our own, `addresses` and `watch` theirs by pyroute2, which is imported nowhere else. What a host shall be is decided
elsewhere (lbstates).
"""
