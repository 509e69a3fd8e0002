"""What `python -m benchmarks` runs, and the modules beside it that are no benchmarks."""

from __future__ import annotations

import dataclasses

# Run by none of `BENCHMARKS`: what the scripts and the page are made of.
HELPERS = (
    *("__init__", "__main__", "plan", "records", "page", "runner"),
    *("timing", "memory", "candidates", "operations", "views"),
    *("torch_networks", "torch_stylegan2", "torch_metrics"),
)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A script with its flags.

    Args:
        name: for `--only`, and what a record knows it by.
        title: the heading on the page.
        script: in this folder.
        meaning: what the figures are.
        flags: of a full run.
        quick: in place of some of them, to see that it works; later flags win.
        peers: flags that it is given where the runner has them.
    """

    name: str
    title: str
    script: str
    meaning: str
    flags: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()


_AUGMENT = (
    *("color", "translation", "cutout", "color,translation,cutout"),
    *("zoomout:0.4", "rotation:0.1", "scale:0.2,rotation:0.1,scale:0.2"),
    *("instance_noise:0.04", "diffusion_noise"),
)
# One of each kind that takes as much as its like.
_REMEMBERED = (
    *("color", "cutout", "flip", "solarize:0.3", "cutmix:0.3", "mixup:0.1", "instance_noise:0.04"),
    *("translation", "translation(0.4, continuous=True)", "blur:0.3", "crop_resize"),
    *("zoomout:0.4", "rotation:0.1", "rotation(1, fill=black)"),
    *("color,translation,cutout", "scale:0.2,rotation:0.1,scale:0.2"),
)
_SMALL_AUGMENT = ("--sizes=2x8x8x3", "--repeats=2", "--policies", "cutout")
_REFERENCES = ("--reference", "--torch_reference", "--torch_python")
_SMALL_STEP = ("--width=2", "--batch_size=4", "--repeats=2", "--matrix_sizes", "64")

BENCHMARKS = (
    Benchmark(
        "augment",
        "Augmentation",
        "augment.py",
        "`passes`: the time of a policy over that of one elementwise pass over the same images. "
        "`authors`: the time of the authors' TensorFlow function over ours, `PyTorch`: of theirs "
        "in PyTorch. In a graph, forward and with the gradient.",
        ("--modes", "graph", "--sizes", "64x32x32x3", "16x256x256x3", "--policies", *_AUGMENT),
        _SMALL_AUGMENT,
        _REFERENCES,
    ),
    Benchmark(
        "augment_xla",
        "Augmentation, compiled by XLA",
        "augment.py",
        "As above, with `jit_compile=True`.",
        (
            *("--modes", "xla", "--sizes", "64x32x32x3", "16x256x256x3"),
            *("--policies", "color,translation,cutout"),
        ),
        _SMALL_AUGMENT,
        _REFERENCES,
    ),
    Benchmark(
        "augment_memory",
        "Memory of augmentation",
        "augment_memory.py",
        "The most memory beside the images, in batches of images: the output counts, and with the "
        "gradient the output, what goes back into it and the gradient.",
        ("--size=8x1024x1024x3", "--policies", *_REMEMBERED),
        ("--size=2x8x8x3", "--policies", "flip"),
    ),
    Benchmark(
        "evaluate",
        "Metrics",
        "evaluate.py",
        "All metrics of 10,000 fakes and as many reals of 2,048 features, by the clock and in "
        "seconds of the processor. Ratios are theirs over ours: TF-GAN's FID over our FID, and FID "
        "and KID of TF-GAN and torch-fidelity over all our metrics.",
        (),
        ("--num_images=300", "--num_features=32", "--repeats=2"),
        ("--torch_python",),
    ),
    Benchmark(
        "evaluate_memory",
        "Memory of the metrics",
        "evaluate.py",
        "Of the process, with 20,000 fakes and as many reals: held with the features there, the "
        "peak of making them, and the peak after all metrics.",
        ("--memory", "--num_images=20000"),
        ("--num_images=300", "--num_features=32"),
    ),
    Benchmark(
        "packed",
        "Packed data",
        "packed.py",
        "Reading batches at random places, the input beside the training step of presets, and the "
        "peak of a run on 2 GB of images beside one on few.",
        ("--megabytes=300", "--gigabytes=2"),
        (
            *("--repeats=1", "--megabytes=1", "--gigabytes=0.01", "--batch_size=4"),
            *("--counts", "500", "50", "--presets", "quick-sndcgan-cifar10"),
        ),
    ),
    Benchmark(
        "train_step",
        "Training steps",
        "train_step.py",
        "One D and one G step at the published width and batch. `of limit`: the time that its "
        "matrix products and convolutions would take at the rate of the best matrix product, over "
        "the step's; `of convolution`, `of gradients`: at the rate of a bare 3x3 convolution, and "
        "of one with its gradients. `PyTorch`: its time over ours. `loop`, `metrics`: what the "
        "input, the bar and Python, and the records of the metrics, add to a step.",
        ("--repeats=5", "--loop_steps=3"),
        (*_SMALL_STEP, "--loop_steps=1", "--models", "sndcgan"),
        ("--torch_python",),
    ),
    Benchmark(
        "train_step_bfloat16",
        "Training steps in bfloat16",
        "train_step.py",
        "`gain`: the time of the float32 step over that of bfloat16; `gain of convolution`: the "
        "same of a bare 3x3 convolution. The rest as above.",
        (
            *("--precision=bfloat16", "--repeats=5", "--loop_steps=0"),
            *("--models", "sndcgan", "biggan"),
        ),
        (*_SMALL_STEP, "--models", "sndcgan"),
    ),
    Benchmark(
        "grouped_convolution",
        "Forms of a grouped convolution",
        "grouped_convolution.py",
        "A row is batch x side x channels x groups: R3GAN's on CIFAR-10 in its four stages, at "
        "256 px in its last, on ImageNet, and slim. `GroupedConv2D` is the one operation where it "
        "has gradients, and else `joined 32`.",
        ("--repeats=5",),
        ("--sizes", "2x4x8x2", "--repeats=1"),
    ),
    Benchmark(
        "regularizers",
        "Regularisers",
        "regularizers.py",
        "The step with a regulariser over the plain step, both at batch 32: its time, "
        "what the number of views that D judges implies, what the operations of its graph say, and "
        "its peak of memory above what the networks hold.",
        ("--repeats=5", "--batch_size=32"),
        ("--width=2", "--batch_size=4", "--repeats=1", "--names", "cr"),
    ),
    Benchmark(
        "training_loop",
        "The loop around the step",
        "training_loop.py",
        "Slim networks and a small batch, so that the host is the limit: milliseconds a step, and "
        "what the loop of `train` takes beyond the compiled step over what Keras' `fit` does.",
        (),
        ("--steps=4", "--repeats=2"),
    ),
    Benchmark(
        "memory_growth",
        "Memory of a run by its steps",
        "memory_growth.py",
        "The largest resident memory in each hundred steps of a slim run that evaluates, shows "
        "samples and saves every 50; the last has the end of the run in it.",
        (),
        ("--steps=60",),
    ),
)
