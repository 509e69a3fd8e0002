"""Trains a GAN on few images: exactly `python -m tf_diffaug train`. `python train.py --help`."""

import sys

from tf_diffaug.commands import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]], program="train.py"))
