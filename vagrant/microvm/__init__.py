"""The virtual lab as micro-VMs: User-Mode Linux guests with systemd, on a bridge in a network namespace of their own.

Nothing here knows the product beyond the name of its wheel; what a guest contains is decided by ``../provision.sh``
and ``../topology.yaml``, which the Vagrantfile reads too. Guests run as processes of root and share a read-only root
file system with the machine: they isolate networks and kernels, they are not a sandbox against hostile code.
"""
