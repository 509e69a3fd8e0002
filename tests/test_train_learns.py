"""The conditional models learn, and what it learns is what its labels say."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_diffaug.commands import train
from tf_diffaug.runs import parts
from tf_diffaug.runs.evaluator import make_evaluator
from tf_diffaug.runs.recipe import settle

COMMON = ["--batch_size=16", "--ema_decay=0.9", "--num_fakes=200", "--nodeterministic"]
BIGGAN = [
    *("--model=biggan", "--width=4", "--latent_dim=32", "--beta1=0"),
    *("--g_lr=1e-3", "--d_lr=1e-3"),
]
STYLEGAN2 = [
    *("--model=stylegan2(w_dim=32, mapping_layers=2)", "--width=4", "--resolution=16"),
    *("--loss=non_saturating", "--regularizers=r1:1", "--latent_dim=32"),
    *("--g_lr=5e-3", "--d_lr=5e-3", "--beta1=0", "--beta2=0.99"),
]
R3GAN = [
    *("--model=r3gan(depth=1)", "--width=16", "--resolution=16", "--loss=relativistic"),
    *("--regularizers=r1:1,r2:1", "--latent_dim=32"),
    *("--g_lr=2e-3", "--d_lr=2e-3", "--beta1=0", "--beta2=0.99"),
]
FASTGAN = [
    *("--model=fastgan", "--width=4", "--loss=smooth_hinge", "--regularizers=reconstruction:8"),
    *("--latent_dim=32", "--g_lr=1e-3", "--d_lr=1e-3", "--eval_batch_norm=batch"),
]


pytestmark = pytest.mark.slow


class Run:
    """What train.py would train, without its files."""

    def __init__(self, *flags):
        self.recipe = settle(train.read([*COMMON, *flags]).config)
        config = self.recipe.config
        self.data = parts.load_data(config)
        self.gan = parts.make_gan(
            self.recipe, tf.distribute.get_strategy(), parts.data_facts(self.data)
        )
        self.sampler = parts.make_sampler(self.gan, config)

    def fit(self, steps):
        dataset = parts.make_dataset(self.recipe.config, self.data)
        self.gan.fit(dataset, steps_per_epoch=steps, verbose=0)


@pytest.mark.parametrize(
    ("flags", "steps", "share"),
    [
        ([*BIGGAN, "--conditional"], 50, 0.5),
        (STYLEGAN2, 80, 0.5),
        (R3GAN, 80, 0.7),
        (FASTGAN, 80, 0.5),
    ],
    ids=["biggan", "stylegan2", "r3gan", "fastgan"],
)
def test_fid_falls(flags, steps, share):
    run = Run("--dataset=emoji", *flags)
    evaluate = make_evaluator(run.recipe.config, run.data, run.sampler, cache=False)
    before = evaluate(run.gan)["fid"]
    run.fit(steps)
    assert evaluate(run.gan)["fid"] < share * before


@pytest.mark.parametrize(
    ("flags", "steps"), [(BIGGAN, 60), (STYLEGAN2, 60)], ids=["biggan", "stylegan2"]
)
def test_a_conditional_generator_makes_what_the_label_says(tmp_path, flags, steps):
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("a_red", "b_green", "c_blue")):
        (tmp_path / name).mkdir()
        for index in range(16):
            pixels = rng.integers(0, 40, (32, 32, 3), np.uint8)
            pixels[..., channel] += 200
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    run = Run(f"--dataset=folder:{tmp_path}", "--conditional", "--fake_labels=data", *flags)
    run.fit(steps)
    latents = run.sampler.latents(8, tf.constant([0, 0]))
    means = np.stack(
        [
            tf.reduce_mean(
                run.sampler.generate(latents, tf.fill([8], label), seed=tf.constant([0, 0])),
                axis=[0, 1, 2],
            )
            for label in range(3)
        ]
    )
    # Each colour is strongest in its own class.
    assert means.argmax(axis=0).tolist() == [0, 1, 2], means
