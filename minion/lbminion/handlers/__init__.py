"""How each kind of resource is read from this host and written to it: one module each, and their registry.

What shall be, and what has to change for it, is decided in `lbstates`.
"""
