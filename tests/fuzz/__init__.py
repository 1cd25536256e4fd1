"""Fuzzing: whatever comes from outside, in whatever order, gives only what is documented.

`python -m tests.fuzz` runs it for as long as one likes; every run of the tests does for some seconds, from the corpus
that is kept beside this file. See `tests.fuzz.command`.
"""
