"""What both daemons need to be good services on a Linux host: sockets, files, database, systemd, logging.

Knows nothing of load balancers, and imports none of the other packages.
"""
