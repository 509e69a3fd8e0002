"""One list of checks for every registered regularizer: register one, and it goes through all."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    NUM_CLASSES,
    assert_same_updates,
    make_feature_networks,
    mixed_precision,
    update_d,
    update_g,
    values,
)
from tf_diffaug._keras import raw_variables
from tf_diffaug.images import to_float
from tf_diffaug.models import (
    BigGANDiscriminator,
    BigGANGenerator,
    FastGANDiscriminator,
    FastGANGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from tf_diffaug.training import GAN, REGULARIZERS, parse_regularizers
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.strategy import make_strategy

# Those whose bare name would do nothing in the first steps, or nothing in bfloat16, or needs to
# know how many images there are.
OPTIONS = {
    "ada": "ada(-1, every=1, kimg=0.01)",
    "adversarial_defence": "adversarial_defence(1, epsilon=0.5)",
    "apa": "apa(-1, every=1, kimg=0.01)",
    "chain": "chain(target=-1, rate=0.3, start=0)",
    "diffusion": "diffusion(-1, every=1, kimg=0.01)",
    "fakeclr": "fakeclr(queue=12)",
    "insgen": "insgen(queue=12)",
    "lecam": "lecam(1, start=0)",
    "reconstruction": "reconstruction(width=2)",
    "topk": "topk(0.5, decay=0.5, every=1)",
}
LEVEL = "diffusion_noise"  # an op that has a level, for those that steer it
NAMES = sorted(REGULARIZERS)
# Terms of a loss: what has no weight changes its state in one of so many updates.
LAZY = [
    name
    for name in NAMES
    if {"every", "weight"} <= {*inspect.signature(REGULARIZERS[name]).parameters}
]


def text(name):
    return OPTIONS.get(name, name)


def network_for(names):
    """The name of the network that has what regularizers need; None for those of the tests."""
    kinds = [REGULARIZERS[name] for name in names]
    if any(kind.needs_styles for kind in kinds):
        return "stylegan2"
    return "fastgan" if any(kind.needs_maps for kind in kinds) else None


def together(names):
    """The names in as few groups as they can be combined in, those that need a network apart."""
    groups = []
    for name in names:
        kind = REGULARIZERS[name]
        for group in groups:
            others = [REGULARIZERS[other] for other in group]
            fits = all(
                name not in other.excludes
                and other.name not in kind.excludes
                and network_for([other.name]) == network_for([name])
                for other in others
            )
            if fits:
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


GROUPS = [pytest.param(group, id="+".join(group)) for group in together(NAMES)]


def sndcgan(**options):
    generator = SNDCGANGenerator(16, 3, 2, latent_dim=4, seed=0)
    return generator, SNDCGANDiscriminator(16, 3, 2, seed=1, **options)


def biggan(**options):
    generator = BigGANGenerator(32, 3, 1, latent_dim=4, num_classes=NUM_CLASSES, seed=0)
    return generator, BigGANDiscriminator(32, 3, 1, num_classes=NUM_CLASSES, seed=1, **options)


def stylegan2():
    sizes = {"max_channels": 4, "num_classes": NUM_CLASSES}
    generator = StyleGAN2Generator(
        8, 3, 2, latent_dim=4, w_dim=4, mapping_layers=1, seed=0, **sizes
    )
    return generator, StyleGAN2Discriminator(8, 3, 2, group_size=2, seed=1, **sizes)


def r3gan():
    sizes = {"depth": 1, "full_width_until": 4, "num_classes": NUM_CLASSES}
    generator = R3GANGenerator(8, 3, 2, latent_dim=4, seed=0, **sizes)
    return generator, R3GANDiscriminator(8, 3, 2, seed=1, **sizes)


def fastgan():
    generator = FastGANGenerator(32, 3, 1, latent_dim=4, seed=0)
    return generator, FastGANDiscriminator(32, 3, 1, seed=1)


def features(**options):
    return make_feature_networks(conditional=True, **options)


def of_d(names):
    """The options of D that regularizers need."""
    kinds = [REGULARIZERS[name].normalization for name in names]
    return next(({"normalization": kind} for kind in kinds if kind is not None), {})


NETWORKS = {
    "sndcgan": sndcgan,
    "biggan": biggan,
    "stylegan2": stylegan2,
    "r3gan": r3gan,
    "fastgan": fastgan,
}
UNCONDITIONAL = (sndcgan, fastgan)


def make_gan(
    names,
    *,
    networks=None,
    texts=None,
    policy="color,translation",
    loss="non_saturating",
    rate=1e-3,
    like=(),
):
    """A GAN, conditional if the networks can be, whose losses see augmented images.

    Its D is what the regularizers need, and those that it is to be `like`.
    """
    if policy is not None and any(REGULARIZERS[name].steers_level for name in names):
        policy = f"{policy},{LEVEL}"
    if networks is None:
        networks = NETWORKS.get(network_for(names), features)
    texts = map(text, names) if texts is None else texts
    classes = None if networks in UNCONDITIONAL else NUM_CLASSES
    gan = GAN(
        *networks(**of_d([*names, *like])),
        num_classes=classes,
        latent_dim=4,
        policy=policy,
        augment=None if policy is None else "both",
        regularizers=", ".join(texts),
        loss=loss,
    )
    gan.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate))
    return gan


def make_batch(gan, count=8, *, hide=False):
    images = np.random.default_rng(0).integers(0, 256, (count, *gan.image_shape), np.uint8)
    images[: count // 2] //= 4  # the halves of the batch are unlike
    labels = np.arange(count) % NUM_CLASSES
    if hide and any(term.fills_labels for term in gan.regularizers):
        labels[1] = -1
    return images, labels.astype(np.int32)


def trainable(network):
    return [v.numpy() for v in raw_variables(network, trainable=True)]


def differ(ones, others):
    return any(np.any(a != b) for a, b in zip(ones, others, strict=True))


@functools.cache
def updated(names, update, network, options):
    """The weights of G and D before and after two updates of one of them."""
    gan = make_gan(names, networks=NETWORKS.get(network), **dict(options))
    networks = {"G": gan.generator, "D": gan.discriminator}
    before = {key: trainable(network) for key, network in networks.items()}
    images, labels = map(tf.constant, make_batch(gan))
    labels = labels if gan.num_classes else None
    for index in range(2):
        number = tf.constant(index, tf.int64)
        steered = gan.objective.probability(), gan.objective.level()
        draws = Draws(0, number, 8, gan.augmenter, *steered)
        if update == "D":
            update_d(gan, (to_float(images), labels), draws, number)
        else:
            update_g(gan, draws, number)
    return before, {key: trainable(network) for key, network in networks.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("update", ["D", "G"])
def test_it_changes_the_updates_that_it_says_and_no_other_network(name, update):
    kind = REGULARIZERS[name]
    plain = (("policy", f"color,translation,{LEVEL}"),) if kind.steers_level else ()
    network = network_for([name])
    _, without = updated((), update, network, (("like", (name,)), *plain))
    before, after = updated((name,), update, network, ())
    assert differ(after[update], without[update]) == (update in kind.of)
    other = "DG".replace(update, "")
    assert not differ(after[other], before[other])


@pytest.mark.slow
@pytest.mark.parametrize("names", GROUPS)
def test_two_replicas_end_where_one_does(names, two_replicas):
    runs = []
    for strategy in (make_strategy("one_device"), two_replicas):
        with strategy.scope():
            gan = make_gan(names)
        start = values(gan)
        data = tf.data.Dataset.from_tensor_slices(make_batch(gan, hide=True)).batch(8).repeat()
        logs = gan.fit(data, steps_per_epoch=1, epochs=3, verbose=0).history
        runs.append((values(gan), logs))
    (one, logs), (two, other_logs) = runs
    assert_same_updates(start, one, two)
    assert logs.keys() == other_logs.keys()
    for name, expected in logs.items():
        np.testing.assert_allclose(other_logs[name], expected, rtol=2e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("names", GROUPS)
def test_it_is_finite_in_half_precision_and_its_value_float32(names, dtype):
    with mixed_precision(dtype):
        gan = make_gan(names)
    assert gan.discriminator.compute_dtype == dtype
    batch = tuple(map(tf.constant, make_batch(gan, hide=True)))
    for _ in range(2):
        logs = gan.train_step(batch)
    assert {value.dtype for value in logs.values()} == {tf.float32}
    assert all(np.isfinite(value) for value in logs.values()), logs
    gan.check_finite()


@pytest.mark.slow
@pytest.mark.parametrize("names", [group for group in GROUPS if group.id != "path_length"])
def test_it_compiles_with_xla(names):
    # Path length is below; XLA draws other numbers than a graph, so that values can't be compared.
    gan = make_gan(names)
    step = tf.function(gan.train_step, autograph=False, jit_compile=True)
    batch = tuple(map(tf.constant, make_batch(gan, hide=True)))
    for _ in range(2):
        logs = {name: float(value) for name, value in step(batch).items()}
        assert all(np.isfinite(list(logs.values()))), logs


def weighed(name, weight):
    term = parse_regularizers(text(name))[0]
    config = {**term.get_config(), "weight": weight}
    if "fake_weight" in config:
        config["fake_weight"] = 0.0  # of a second term, which has no schedule
    return str(type(term)(**config))


@pytest.mark.one_stack
@pytest.mark.parametrize("names", GROUPS)
def test_its_weight_may_follow_a_schedule(names):
    # At a rate of 0 the weights stay, and so do the terms but for their own weight.
    names = [n for n in names if "weight" in inspect.signature(REGULARIZERS[n]).parameters]
    runs = []
    for weight in (2.0, "linear(2, 0, images=16)"):
        texts = [weighed(name, weight) for name in names]
        gan = make_gan(names, texts=texts, rate=0.0)
        batch = tuple(map(tf.constant, make_batch(gan, hide=True)))
        runs.append([{k: float(v) for k, v in gan.train_step(batch).items()} for _ in range(3)])
    for share, constant, scheduled in zip((1.0, 0.5, 0.0), *runs, strict=True):
        for name in names:
            np.testing.assert_allclose(
                scheduled[name], share * constant[name], rtol=1e-4, atol=1e-7, err_msg=name
            )
        assert {f"{name}_weight" for name in names} <= scheduled.keys()


def lazily(name):
    term = parse_regularizers(name)[0]
    return str(type(term)(**{**term.get_config(), "every": 2}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("networks", "jit_compile"), [*((name, True) for name in NETWORKS), ("stylegan2", False)]
)
def test_lazy_terms_are_due_in_one_of_so_many_steps(networks, jit_compile):
    # On every network that it can be on; path length has the styles of one alone.
    names = [n for n in LAZY if network_for([n]) in (None, networks)]
    gan = make_gan(names, networks=NETWORKS[networks], texts=map(lazily, names), policy=None)
    gan.compile(keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3), jit_compile=jit_compile)
    images, labels = map(tf.constant, make_batch(gan, 4))

    @tf.function(autograph=False, jit_compile=jit_compile)
    def step(index):
        draws = Draws(0, index, 4, gan.augmenter)
        given = labels if gan.num_classes else None
        logs = update_d(gan, (to_float(images), given), draws, index)
        if any("G" in REGULARIZERS[name].of for name in names):
            logs |= update_g(gan, draws, index)
        return logs

    for number, due in enumerate((True, False, True)):
        found = step(tf.constant(number, tf.int64))
        logs = {name: float(value) for name, value in found.items()}
        assert all(np.isfinite(list(logs.values()))), logs
        assert {name: logs[name] > 0 for name in names} == dict.fromkeys(names, due)
