"""Everything that reads what others wrote, fed with what nobody would write: see docs/fuzzing.md.

A target is one reader and its oracle; `targets.py` lists them. Hypothesis tries each for a moment in every run of the
tests, and `run` for as long as one likes, guided by coverage. What that finds is kept below `cases/`.
"""
