"""Hostile input: whatever it is, one line and exit code 2, and nothing run or written elsewhere.

A few examples of each in every run of the tests; `make fuzz` tries many more.
"""
