"""How many parameters BigGAN has."""

import itertools

import pytest

from tests.reference_networks import built, parameters
from tf_diffaug.models import BigGANDiscriminator, BigGANGenerator

# What a slim original has; 420 divides into the chunks of every resolution.
ORIGINAL = {"shared_dim": 6, "hierarchical": True, "init": "orthogonal"}


@pytest.mark.parametrize(
    ("num_classes", "of_generator", "of_discriminator"),
    [(10, 4_304_387, 4_207_361), (100, 4_580_867, 4_230_401)],
)
def test_the_parameter_counts_of_the_small_one(num_classes, of_generator, of_discriminator):
    assert parameters(built(BigGANGenerator, num_classes=num_classes)) == of_generator
    assert parameters(built(BigGANDiscriminator, num_classes=num_classes)) == of_discriminator


def generator_parameters(width, multiples, *, condition, first_chunk, shared, attention):
    """By hand: weights and biases of each layer, for vector conditions."""
    sizes = [width * multiple for multiple in multiples]
    count = shared + (first_chunk + 1) * 16 * sizes[0]
    for before, after in itertools.pairwise(sizes):
        count += 9 * before * after + after + 9 * after * after + after
        count += before * after + after
        count += 2 * condition * (before + after)
    count += attention * (2 * (attention // 8) + 2 * (attention // 2)) + 1
    return count + 2 * sizes[-1] + (9 * sizes[-1] + 1) * 3


def discriminator_parameters(width, multiples, *, num_classes, attention, is_compare_gan=False):
    sizes = [3, *(width * multiple for multiple in multiples)]
    count = 0
    for index, (before, after) in enumerate(itertools.pairwise(sizes)):
        count += 9 * before * after + after + 9 * after * after + after
        is_last = index == len(multiples) - 1
        if before != after or not (is_last or is_compare_gan):
            count += before * after + after
    count += attention * (2 * (attention // 8) + 2 * (attention // 2)) + 1
    return count + sizes[-1] + 1 + num_classes * sizes[-1]


def test_the_published_counts_of_the_original():
    # Those of compare_gan's resnet_biggan.py, for 1000 classes and attention at 64 px.
    multiples = (16, 16, 8, 4, 2, 1)
    of_generator = generator_parameters(
        96, multiples, condition=20 + 128, first_chunk=20, shared=128_000, attention=192
    )
    assert of_generator == 70_433_988
    multiples = (1, 2, 4, 8, 16, 16)
    assert discriminator_parameters(96, multiples, num_classes=1000, attention=96) == 87_982_370
    multiples = (16, 16, 8, 8, 4, 2, 1)
    of_generator = generator_parameters(
        96, multiples, condition=20 + 128, first_chunk=20, shared=128_000, attention=192
    )
    assert of_generator == 82_097_604
    multiples = (1, 2, 4, 8, 8, 16, 16)
    of_discriminator = discriminator_parameters(
        96, multiples, num_classes=1000, attention=192, is_compare_gan=True
    )
    assert of_discriminator == 98_635_298


@pytest.mark.parametrize(
    ("resolution", "latent_dim", "attention"),
    [(128, 120, 64), pytest.param(256, 140, 128, marks=pytest.mark.slow)],
)
def test_slim_originals_have_the_counted_parameters(resolution, latent_dim, attention):
    # Two times the width at either place.
    multiples = {128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}[resolution]
    generator = built(
        BigGANGenerator,
        resolution,
        width=4,
        latent_dim=latent_dim,
        num_classes=9,
        attention=attention,
        **{**ORIGINAL, "init": "normal"},
    )
    expected = generator_parameters(
        4, multiples, condition=20 + 6, first_chunk=20, shared=9 * 6, attention=8
    )
    assert parameters(generator) == expected
    # Another upsampling, the same weights.
    same = BigGANGenerator.from_config({**generator.get_config(), "layout": "compare_gan"})
    same.build()
    shapes, of_same = ([w.shape for w in n.trainable_weights] for n in (generator, same))
    assert shapes == of_same
    multiples = {128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}[resolution]
    for layout in ("author", "compare_gan"):
        # 8 or 16 channels at 64 px.
        discriminator = built(
            BigGANDiscriminator, resolution, width=8, num_classes=9, attention=64, layout=layout
        )
        expected = discriminator_parameters(
            8,
            multiples,
            num_classes=9,
            attention=8 if resolution == 128 else 16,
            is_compare_gan=layout == "compare_gan",
        )
        assert parameters(discriminator) == expected


@pytest.mark.slow
def test_the_original_at_full_width_has_the_published_counts():
    same = {"width": 96, "num_classes": 1000, "attention": 64}
    generator = built(
        BigGANGenerator, 128, latent_dim=120, shared_dim=128, hierarchical=True, **same
    )
    assert parameters(generator) == 70_433_988
    del generator
    assert parameters(built(BigGANDiscriminator, 128, **same)) == 87_982_370
