"""The training step compiled ahead of time, for devices that are not there.

`trace` makes the graph that a TPU would be given, `rewrite` takes one replica's step out of it,
`lower` turns that into XLA's program by TensorFlow's own kernels, and `compile` has libtpu compile
it for the chips of a topology. `stages` does all four for a recipe, in processes of their own.
"""
