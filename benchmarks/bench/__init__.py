"""The benchmarks, each of which returns figures. Real processes in network namespaces; nothing of the product is mocked.

The one exception is the IPVS table of a director where the kernel has no ip_vs: see `director`.
"""
