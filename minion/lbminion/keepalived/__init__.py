"""keepalived on this host: its file, its process, what it says (FIFO) and what it knows (dump).

Nothing here decides what keepalived's configuration shall be (lbstates renders it) and nothing here touches addresses
or IPVS (lbminion.netlink does). `control.Control` is the door; the other modules are its parts.
"""
