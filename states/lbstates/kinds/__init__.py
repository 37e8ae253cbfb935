"""The kinds of resource that a host can have: one module each, and their registry.

A kind says what identifies a resource, what specifies it, how it reads in a plan, and when in a plan it comes.
Statistics are no part of it. How a kind is read from and written to a host is the minion's business.
"""
