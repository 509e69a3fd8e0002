import inspect
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import (
    make_discriminator,
    make_gan,
    make_images,
    update_d,
    values,
)
from tf_diffaug._keras import KERAS_3, raw_variables
from tf_diffaug.augment import DiffAugment
from tf_diffaug.images import to_float
from tf_diffaug.training.draws import Draws
from tf_diffaug.training.modes import MODES
from tf_diffaug.training.regularizers import (
    R1,
    R2,
    REGULARIZERS,
    WGANGP,
    Update,
    parse_regularizers,
)
from tf_diffaug.training.views import Views, discriminate

# What is called here is called as within a step.
pytestmark = pytest.mark.usefixtures("held_norms")


def make_views(policy="color,translation,cutout"):
    images = to_float(tf.constant(make_images(3)))
    layer = DiffAugment(policy)
    params = layer.sample(images.shape, tf.constant([1, 2]))
    return Views(
        images,
        None,
        augment_real=lambda batch: layer.apply(batch, params),
        augment_fake=None,
    )


def penalty(r1, discriminator, views, mode, index=0):
    draws = Draws(0, tf.constant(0, tf.int64), 3, None)
    gan = SimpleNamespace(discriminator=discriminator)
    turn = Update(gan, draws, views, {}, MODES[mode], tf.cast(index, tf.int64))
    return r1.discriminator_term(turn)


def finite_difference_penalty(function, images, epsilon=1e-2):
    """weight 1: |∇f|² / 2 by central differences, one coordinate of all images at a time."""
    total = np.zeros(len(images))
    for index in np.ndindex(*images.shape[1:]):
        offset = np.zeros(images.shape, np.float32)
        offset[(slice(None), *index)] = epsilon
        slope = (function(images + offset) - function(images - offset)) / (2 * epsilon)
        total += np.asarray(slope, np.float64) ** 2
    return total / 2


@pytest.mark.parametrize(("on", "mode"), [("raw", "both"), ("augmented", "both"), ("raw", "none")])
def test_r1_is_its_finite_difference(on, mode):
    # Smooth, as a difference across a kink is not the gradient on either side.
    discriminator, views = make_discriminator(smooth=True), make_views()

    def judge(images):
        return discriminator(images)[:, 0]

    through = on == "raw" and mode == "both"
    images = views["real"] if through or mode == "none" else views["real_aug"]
    function = (lambda x: judge(views.augment["real"](x))) if through else judge
    expected = finite_difference_penalty(function, images.numpy())
    np.testing.assert_allclose(
        penalty(R1(1.0, on), discriminator, views, mode), expected, rtol=2e-3
    )


@pytest.mark.parametrize(
    ("on", "mode"), [("raw", "both"), ("augmented", "d_only"), ("raw", "reals")]
)
def test_r2_is_its_finite_difference_on_fakes(on, mode):
    discriminator, views = make_discriminator(smooth=True), make_views()
    views = Views(None, views["real"], augment_real=None, augment_fake=views.augment["real"])

    def judge(images):
        return discriminator(images)[:, 0]

    through = on == "raw" and mode == "both"
    images = views["fake_aug"] if on == "augmented" else views["fake"]
    function = (lambda x: judge(views.augment["fake"](x))) if through else judge
    expected = finite_difference_penalty(function, images.numpy())
    np.testing.assert_allclose(
        penalty(R2(1.0, on), discriminator, views, mode), expected, rtol=2e-3
    )


def make_pair():
    images = to_float(tf.constant(make_images(6)))
    return Views(images[:3], images[3:], augment_real=None, augment_fake=None)


def test_wgan_gp_is_its_finite_difference():
    discriminator, views = make_discriminator(smooth=True), make_pair()
    seed = tf.constant(0, tf.int64)
    share = Draws(0, seed, 3, None).uniform((1, 1, 1), "wgan_gp", "share").numpy()
    assert len(np.unique(share)) == 3
    between = share * views["real"].numpy() + (1 - share) * views["fake"].numpy()
    squares = 2 * finite_difference_penalty(lambda x: discriminator(x)[:, 0], between)
    expected = 5 * (np.sqrt(squares) - 1) ** 2
    found = penalty(WGANGP(5.0), discriminator, views, "none")
    np.testing.assert_allclose(found, expected, rtol=5e-3)


@pytest.mark.skipif(KERAS_3, reason="TF-GAN stopped before Keras 3")
@pytest.mark.filterwarnings("ignore")
def test_wgan_gp_is_tf_gans_where_both_look_at_one_place():
    import tensorflow_gan as tfgan

    discriminator, views = make_discriminator(), make_pair()
    # Where the fakes are the reals there is one place between them.
    views = Views(views["real"], views["real"], augment_real=None, augment_fake=None)
    found = penalty(WGANGP(1.0), discriminator, views, "none")

    @tf.function(autograph=False)
    def published(images):
        judge = lambda images, _: discriminator(images)  # noqa: E731
        wasserstein = tfgan.losses.wargs.wasserstein_gradient_penalty
        return wasserstein(images, images, None, judge, "d", epsilon=0.0)

    expected = published(views["real"])
    np.testing.assert_allclose(tf.reduce_mean(found), expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r2", "wgan_gp"])
def test_the_other_penalties_fall_when_they_are_asked_for(name):
    gan = make_gan(regularizers=f"{name}:10", loss="wasserstein", seed=1)
    kernel = gan.discriminator.trainable_variables[-2]
    kernel.assign(5.0 * tf.convert_to_tensor(kernel))  # its slope is about 1 as it is made
    history = gan.fit(make_images(64), batch_size=8, epochs=12, verbose=0).history[name]
    assert history[-1] < history[0] / 2


def test_r1_weighs_and_trains_the_discriminator():
    discriminator, views = make_discriminator(), make_views()
    with tf.GradientTape() as tape:
        values = penalty(R1(10.0), discriminator, views, "both")
        total = tf.reduce_sum(values)
    np.testing.assert_allclose(
        values, 10 * penalty(R1(1.0), discriminator, views, "both"), rtol=1e-5
    )
    kernels = [v for v in discriminator.trainable_variables if len(v.shape) > 1]
    gradients = tape.gradient(total, kernels)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_lazy_r1_is_as_strong_on_average_and_free_in_between():
    discriminator, views = make_discriminator(), make_views()
    lazy = R1(10.0, every=4)

    @tf.function(autograph=False)
    def gradient(images, index):
        plain = Views(images, None, augment_real=None, augment_fake=None)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(penalty(lazy, discriminator, plain, "none", index))
        return total, tape.gradient(total, raw_variables(discriminator, trainable=True)[0])

    with tf.GradientTape() as tape:
        total = tf.reduce_sum(penalty(R1(10.0), discriminator, views, "none"))
    expected = tape.gradient(total, raw_variables(discriminator, trainable=True)[0])
    for index in range(9):
        value, found = gradient(views["real"], tf.cast(index, tf.int64))
        factor = 4 if index % 4 == 0 else 0
        np.testing.assert_allclose(value, factor * total, rtol=1e-5)
        np.testing.assert_allclose(found, factor * expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "text", ["r1:1", "r2:1", "wgan_gp:1", "dragan:1", "js:1", "lecam(1, start=0)", "cr:1", "bcr:1"]
)
def test_a_discriminator_may_say_the_same_several_times(text):
    judge, images = make_discriminator(smooth=True), to_float(tf.constant(make_images(6)))
    inputs = keras.Input(images.shape[1:])
    patches = keras.Model(inputs, keras.layers.RepeatVector(4)(judge(inputs)))
    found = []
    for discriminator in (judge, patches):
        (term,) = parse_regularizers(text)
        if text.startswith("lecam"):
            term.build(None)
        views = Views(images[:3], images[3:], augment_real=tf.negative, augment_fake=tf.negative)
        names = ["real", "fake", "real_aug", "fake_aug"]
        outputs = discriminate(discriminator, views, names, joint=True)
        draws = Draws(0, tf.constant(0, tf.int64), 3, None)
        gan = SimpleNamespace(discriminator=discriminator, d_steps=1)
        turn = Update(gan, draws, views, outputs, MODES["none"], tf.constant(1, tf.int64))
        found.append(term.discriminator_term(turn).numpy())
    assert found[0].max() > 0
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)


def test_what_is_logged_is_the_mean_over_ds_updates():
    together, alone = (make_gan(regularizers="r1(10, every=2)", d_steps=2) for _ in range(2))
    images = make_images(16)
    logs = together.train_step(tf.constant(images))
    turns = []
    for turn in range(2):
        draws = Draws(0, tf.constant(turn, tf.int64), 8, alone.augmenter)
        reals = to_float(tf.constant(images[turn::2]))
        turns.append(update_d(alone, (reals, None), draws, tf.constant(turn, tf.int64)))
    assert turns[0]["r1"] > turns[1]["r1"] == 0
    for name in ("d_loss", "r1"):
        np.testing.assert_allclose(logs[name], np.mean([t[name] for t in turns]), rtol=1e-5)


@pytest.mark.slow
def test_r1_falls_when_it_is_asked_for():
    gan = make_gan(regularizers="r1:100", seed=1)
    history = gan.fit(make_images(64), batch_size=8, epochs=8, verbose=0).history["r1"]
    assert history[-1] < history[0] / 2


def test_strings_are_read_and_written():
    (r1,) = parse_regularizers("r1(0.1, on=augmented)")
    assert (r1.weight, r1.on) == (0.1, "augmented")
    assert str(r1) == "r1(weight=0.1, on=augmented, every=1)"
    assert str(parse_regularizers(str(r1))[0]) == str(r1)
    assert parse_regularizers("r1:3")[0].weight == 3
    assert parse_regularizers("none") == parse_regularizers(None) == ()
    assert parse_regularizers([r1]) == (r1,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r11:1", "Did you mean 'r1'"),
        ("r1:-1", "0 or more"),
        ("r1:big", "r1 weight is a number, linear"),
        ("r1(every=0)", "every=0"),
        ("r1(every=2.5)", "every=2.5"),
        ("orthogonal:-1", "0 or more"),
        ("path_length(decay=1)", "decay=1"),
        ("path_length(shrink=0)", "shrink=0"),
        ("r1(on=row)", "Did you mean 'raw'"),
        ("r1(wait=3)", "Did you mean 'weight'"),
        ("r1,r1:2", "twice"),
        ("r1(1", "not matched"),
        ("r1(1, 2)", "by keyword"),
        ("r1(weight=__import__)", "r1 weight is a number, linear"),
        ("r1(weight=f())", "r1 weight is a number, linear"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_regularizers(text)


WHOLE = [
    (name, option.name)
    for name, kind in sorted(REGULARIZERS.items())
    for option in inspect.signature(kind).parameters.values()
    if str(option.annotation).startswith("int")
]


@pytest.mark.parametrize(("name", "option"), WHOLE)
def test_counts_are_whole_numbers_of_any_kind(name, option):
    kind = REGULARIZERS[name]
    term = kind(**{option: np.int64(3)})
    assert term.get_config()[option] == 3
    assert type(term.get_config()[option]) is int
    for wrong in (True, 2.5, -1, "x"):
        with pytest.raises(ValueError, match=f"Received: {name} {option}={wrong!r}"):
            kind(**{option: wrong})


def test_two_of_one_name_would_hide_each_other_and_are_refused():
    with pytest.raises(ValueError, match="Received: r1"):
        parse_regularizers([R1(1.0), R2(1.0), R1(2.0, on="augmented")])


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp", "cr", "bcr", "lecam(start=0)"])
def test_a_term_of_ds_loss_moves_d_and_never_g(name):
    def updated(weight):
        gan = make_gan(
            policy="color",
            augment="both",
            regularizers=name,
            optimizer=lambda: keras.optimizers.SGD(0.1),
        )
        gan.regularizers[0].weight = weight
        gan.step.assign(2)  # LeCam counts from its second step on
        before = values(gan)
        draws = Draws(0, tf.constant(5, tf.int64), 8, gan.augmenter)
        reals = to_float(tf.constant(make_images(8)))
        update_d(gan, (reals, None), draws, tf.constant(2, tf.int64))
        return before, values(gan)

    before, plain = updated(0.0)
    _, penalised = updated(5.0)
    pairs = zip(plain["discriminator"], penalised["discriminator"], strict=True)
    assert any(np.any(one != other) for one, other in pairs)
    gan = make_gan()
    weights = {id(raw) for raw in raw_variables(gan.generator, trainable=True)}
    own = [index for index, v in enumerate(gan.state()["generator"]) if id(v) in weights]
    assert len(own) == len(weights) > 0
    for index in own:
        np.testing.assert_array_equal(before["generator"][index], penalised["generator"][index])


@pytest.mark.parametrize(
    "text",
    [
        *("lecam(weight=[1])", "r1:None", "bcr:1e999", "lecam(decay=[1])", "ada(target=[1])"),
        *("topk(decay={})", "zcr(sigma=None)", "js(decay=None)", "cntr(temperature=1e999)"),
        *("ssgan(generator_weight=None)", "dragan(scale=1e999)", "cr(policy=3)", "cr(policy=[1])"),
        *("adversarial_defence(epsilon=[0])", "path_length(decay=[1])"),
    ],
)
def test_an_option_of_another_kind_is_a_value_error(text):
    with pytest.raises(ValueError, match="Received: "):
        parse_regularizers(text)


def test_a_mistake_in_a_policy_of_its_own_names_the_regularizer():
    with pytest.raises(ValueError, match=r"^bcr: policy 'colour': Unknown op"):
        parse_regularizers("bcr(policy='colour')")
