"""train.py in this process, with small networks."""

from tf_diffaug.commands import main

SMALL = ["--width=2", "--num_images=16", "--batch_size=4", "--num_fakes=20", "--log_every=2"]
SMALL += ["--noreport"]


def run(*flags):
    """The exit code of train.py, in this process."""
    return main(["train", *flags, "--nodeterministic"], program="train.py")


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
