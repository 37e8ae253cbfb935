"""Watching real servers: one file per kind of check, the scheduler, and the engine that makes weights of verdicts.

What a verdict is and what follows for a pool is decided in `lbstates`; here is what asks, and remembers.
"""
