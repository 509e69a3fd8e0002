"""Holds our EfficientNet-Lite0 against the published network in PyTorch, on the same images.

Needs, beside what the package needs: pip install torch efficientnet-lite-pytorch
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from tf_diffaug.evaluation import efficientnet
from tf_diffaug.unpickle import load_torch_state

LARGEST = 1e-4


def main() -> int:
    """Prints the largest difference of two logits; returns the exit code."""
    try:
        import torch
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        print(f"{error}: pip install torch efficientnet-lite-pytorch", file=sys.stderr)
        return 2
    path = efficientnet._weights_path()
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path))
    network.eval()
    weights = efficientnet.folded(load_torch_state(path.read_bytes()))
    worst = 0.0
    for seed, size in enumerate((128, 224)):
        blocks = np.random.default_rng(seed).integers(0, 256, (4, 8, 8, 3))
        images = np.kron(blocks, np.ones((1, size // 8, size // 8, 1))).astype(np.float32)
        images = (images - efficientnet.MEAN) / efficientnet.DEVIATION
        with torch.no_grad():
            expected = network(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
        found = efficientnet.logits(weights, efficientnet.embed(weights, tf.constant(images)))
        worst = max(worst, float(np.abs(found - expected).max()))
        print(f"{size} pixels: the largest difference is {np.abs(found - expected).max():.1e}")
    return 0 if worst <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
