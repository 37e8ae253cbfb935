"""Talks to the kernel by netlink: the IPVS table, and the addresses of the host.

`message`, `ipvs_codec` and `address_codec` are pure (bytes to values and back); `transport`, `ipvs`, `addresses` and
`watch` do the I/O. What a host shall be is decided elsewhere (lbstates).
"""
