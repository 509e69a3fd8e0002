"""Studies: the papers' figures and tables as grids of runs, and what their lines say.

A study is data. It stands above `runs`, whose recipes it names by the flags that a user would type,
and below `commands`, which reads those flags and runs its cells: nothing here trains, and nothing
below knows of studies. What is drawn and decided comes from the lines of results alone.
"""
