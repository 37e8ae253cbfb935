"""The table of pitfalls (docs/pitfalls.md) against the tests that provoke them, or show that they cannot happen."""
