"""Hostile input: whatever it is, one line and exit code 2, and nothing run or written elsewhere.

Each way in has a file of its own here; a new one, such as another kind of data set, brings its own
and takes the strategies of `hostile.py`.

A few examples of each in every run of the tests; `make fuzz` tries many more.
"""
