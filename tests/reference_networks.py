"""What the tests of the reference networks share."""

import numpy as np

from tf_diffaug.layers import advance_power_iteration


def built(kind, *args, **kwargs):
    network = kind(*args, **kwargs)
    network.build()
    return network


def parameters(network):
    return sum(int(np.prod(w.shape)) for w in network.trainable_weights)


def stirred(network):
    """The network with larger kernels, and biases that are not zero."""
    rng = np.random.default_rng(3)
    for weight in network.trainable_weights:
        if len(weight.shape) < 2:
            weight.assign(weight.numpy() + 0.3 * rng.normal(size=weight.shape))
        else:
            weight.assign(rng.normal(size=weight.shape) * 0.3)
    advance_power_iteration(network, 3)
    return network
