import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_diffaug.layers import ChainNorm, batch_views
from tf_diffaug.layers.batch_views import current_views

EPSILON = 1e-5
SEED = tf.constant([3, 4])
PAIR = {"real": "real", "fake": "fake"}
FOUR = {"real": "real", "fake": "fake", "real_aug": "real", "own": "fake"}
ARRAY_COPY = "ignore:__array__ implementation:DeprecationWarning"


def images(rows, channels=3, seed=0):
    sizes = np.arange(1, channels + 1) * np.linspace(0.5, 2.0, rows)[:, None, None, None]
    return np.random.default_rng(seed).normal(0.3, size=(rows, 2, 3, channels)) * sizes


class Restated:
    """The authors' two passes over one view after the other, in NumPy."""

    def __init__(self, channels=3, decay=0.9):
        self.decay = decay
        self.squares = {kind: np.ones(channels) for kind in ("real", "fake")}
        self.gradients = {kind: np.zeros(channels) for kind in ("real", "fake")}

    def forward(self, x, mask, kind):
        mask = mask[:, None, None, :]
        self.squares[kind] = self.decay * self.squares[kind]
        self.squares[kind] = self.squares[kind] + (1 - self.decay) * (x**2).mean((0, 1, 2))
        psi = np.sqrt(self.squares[kind] + EPSILON)
        y, least = x / psi, psi.min()

        def backward(upstream):
            along = mask * upstream * least
            state = self.decay * self.gradients[kind] + (1 - self.decay) * (along * y).mean(
                (0, 1, 2)
            )
            self.gradients[kind] = state
            return (1 - mask) * upstream + (along - mask * 0 - state * y) / psi

        return (1 - mask) * x + mask * y * least, backward


def with_coins(layer, coins, p):
    """The layer with fixed uniform numbers in place of its draws."""
    layer.p.assign(p)
    layer._draw = lambda rows, views: tf.constant(coins, tf.float32)
    return layer


def test_each_view_has_statistics_and_gradients_of_its_kind_pass_after_pass(rng):
    layer = ChainNorm(dtype="float64", seed=0)
    layer.build((None, 2, 3, 3))
    restated = Restated()
    for turn in range(4):
        x, upstream = images(20, seed=turn), rng.normal(size=(20, 2, 3, 3))
        coins = rng.uniform(size=(4, 5, 3))
        with_coins(layer, coins, 0.6)
        inputs = tf.constant(x)
        with tf.GradientTape() as tape, batch_views(FOUR, seed=SEED) as views:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
        found = tape.gradient(outputs, inputs, output_gradients=tf.constant(upstream))
        parts = zip(np.split(x, 4), coins < 0.6, FOUR.values(), strict=True)
        passes = [restated.forward(*part) for part in parts]
        np.testing.assert_allclose(outputs, np.concatenate([y for y, _ in passes]), rtol=1e-12)
        ways = zip(passes, np.split(upstream, 4), strict=True)
        gradients = [backward(part) for (_, backward), part in ways]
        np.testing.assert_allclose(found, np.concatenate(gradients), rtol=1e-10)
        np.testing.assert_allclose(layer.squares, [*restated.squares.values()], rtol=1e-12)
        np.testing.assert_allclose(layer.d_gradients, [*restated.gradients.values()], rtol=1e-10)
        means = [np.sum(part.mean((0, 1, 2)) ** 2) for part in np.split(x, 4)]
        np.testing.assert_allclose(views.squared_means[0], means, rtol=1e-6)
    assert not np.any(layer.g_gradients)


def in_batch_form(x, mask, least):
    """NumPy: a batch that is one, with what min(psi) was for the unmoved batch."""
    psi = np.sqrt((x**2).mean((0, 1, 2)) + EPSILON)
    mask = mask[:, None, None, :]
    return (1 - mask) * x + mask * x / psi * (psi.min() if least is None else least)


def test_elsewhere_a_batch_is_one_and_its_derivatives_are_the_formulas(rng):
    x, weights, coins = images(4), rng.normal(size=(4, 2, 3, 3)), rng.uniform(size=(1, 4, 3))
    layer = with_coins(ChainNorm(dtype="float64"), coins, 0.6)
    least = np.sqrt((x**2).mean((0, 1, 2)) + EPSILON).min()
    inputs, direction = tf.constant(x), rng.normal(size=x.shape)
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            total = tf.reduce_sum(weights * outputs**2)
        gradient = tape.gradient(total, inputs)
        norm = tf.reduce_sum(gradient**2)
    np.testing.assert_allclose(outputs, in_batch_form(x, coins[0] < 0.6, None), rtol=1e-12)
    assert np.array_equal(layer.squares, np.ones((2, 3)))

    def difference(function, step=1e-5):
        return (function(x + step * direction) - function(x - step * direction)) / (2 * step)

    def numpy_total(x):
        return np.sum(weights * in_batch_form(x, coins[0] < 0.6, least) ** 2)

    expected = difference(numpy_total)
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-6)

    def numpy_gradient(x):
        # By differences again, entry by entry.
        found = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[index] = 1e-4
            found[index] = (numpy_total(x + step) - numpy_total(x - step)) / 2e-4
        return found

    # min(psi) gets no gradient in either order, so it stays as it is.
    second = difference(lambda x: np.sum(numpy_gradient(x) ** 2), 1e-4)
    np.testing.assert_allclose(np.sum(outer.gradient(norm, inputs) * direction), second, rtol=1e-4)


def passes(joint):
    layer = ChainNorm(p=0.5, seed=1)
    found, gradients = [], []
    for turn in range(2):
        parts = dict(zip(FOUR, np.split(images(20, seed=turn).astype(np.float32), 4), strict=True))
        groups = [[*FOUR]] if joint else [[name] for name in FOUR]
        variables = {name: tf.Variable(part) for name, part in parts.items()}
        with tf.GradientTape() as tape:
            outputs = []
            for names in groups:
                with batch_views({n: FOUR[n] for n in names}, seed=SEED, of="G"):
                    batch = tf.concat([variables[name] for name in names], axis=0)
                    outputs.append(layer(batch, training=True))
            outputs = tf.concat(outputs, axis=0)
            total = tf.reduce_sum(tf.sin(outputs))
        gradients += tape.gradient(total, list(variables.values()))
        found.append(outputs)
    return [*found, *gradients, layer.squares, layer.g_gradients]


def test_one_pass_says_what_a_pass_for_each_view_does():
    for one, several in zip(passes(True), passes(False), strict=True):
        np.testing.assert_allclose(one, several, rtol=1e-5, atol=1e-6)
    assert np.all(passes(True)[-1] != 0)


def trained(layer, batch):
    """The outputs of a replica's rows, and the gradient of what all replicas' add up to."""
    with tf.GradientTape() as tape, batch_views(PAIR, seed=SEED) as views:
        tape.watch(batch)
        outputs = layer(batch, training=True)
        context = tf.distribute.get_replica_context()
        total = tf.reduce_sum(tf.sin(outputs))
        total += tf.reduce_sum(views.squared_means[0]) / context.num_replicas_in_sync
    return outputs, tape.gradient(total, batch)


@pytest.mark.parametrize("rows", [4, 6, 8])
def test_replicas_have_the_statistics_of_one(two_replicas, rows):
    # Of each view the first replica has so many images of 8, the second the others.
    alone = ChainNorm(p=0.5, seed=1)
    with two_replicas.scope():
        layer = ChainNorm(p=0.5, seed=1)
        layer.build((None, 2, 3, 3))

    @tf.function(autograph=False)
    def step(real, fake, bounds):
        def replica():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            part = slice(bounds[index], bounds[index + 1])
            return trained(layer, tf.concat([real[part], fake[part]], axis=0))

        return two_replicas.run(replica)

    for turn in range(2):
        x = images(16, seed=turn).astype(np.float32)
        expected = trained(alone, tf.constant(x))
        results = step(*np.split(x, 2), tf.constant([0, rows, 8]))
        for found, wanted in zip(results, expected, strict=True):
            parts = two_replicas.experimental_local_results(found)
            views = zip(*(np.split(part, 2) for part in parts), strict=True)
            joined = np.concatenate([part for view in views for part in view])
            np.testing.assert_allclose(joined, wanted, rtol=1e-4, atol=1e-5)
        for one, other in zip(alone.weights, layer.weights, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def chosen(layer, kinds, rows=400, **options):
    """Which images' channels are normalised."""
    x = np.ones((rows, 1, 8), np.float32)
    x[:, :, 1:] = 2.0  # the first is the smallest, which stays as it is
    with batch_views(kinds, **options):
        outputs = layer(tf.constant(x), training=True).numpy()
    return outputs[:, 0, 1:] < 1.99


def test_each_channel_of_each_image_is_drawn_anew():
    layer = ChainNorm(p=0.3, seed=1)
    first, second = (chosen(layer, {}) for _ in range(2))
    for drawn in (first, second):
        np.testing.assert_allclose(drawn.mean(axis=0), 0.3, atol=0.08)
        assert drawn.mean(axis=1).std() > 0
    assert np.any(first != second)
    copy = ChainNorm.from_config(layer.get_config())
    np.testing.assert_array_equal(chosen(copy, {}), first)  # the same seed, and its first call
    given = chosen(layer, {}, seed=SEED)
    np.testing.assert_array_equal(chosen(layer, {}, seed=SEED), given)
    assert int(layer._calls) == 2
    assert np.any(chosen(layer, {}, seed=SEED + 1) != given)
    assert np.any(chosen(ChainNorm(p=0.3, seed=2), {}, seed=SEED) != given)
    real, fake = np.split(chosen(layer, PAIR, seed=SEED), 2)
    assert np.any(real != fake)
    assert not np.any(chosen(ChainNorm(p=0.0), {}))
    assert np.all(chosen(ChainNorm(p=1.0), {}))
    assert ChainNorm().seed != ChainNorm().seed


def test_outside_of_training_nothing_is_drawn_or_moved():
    layer = ChainNorm(p=0.25, seed=1)
    x = tf.constant(images(8), tf.float32)
    with batch_views(PAIR):
        layer(x, training=True)
    before = [weight.numpy() for weight in layer.weights]
    psi = np.sqrt(layer.squares.numpy() + EPSILON)
    ratio = 0.75 + 0.25 * psi.min(1, keepdims=True) / psi
    expected = np.concatenate([part * r for part, r in zip(np.split(x, 2), ratio, strict=True)])
    with batch_views(PAIR) as views:
        np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    with batch_views({"mine": "fake"}):  # an image's output is its own
        np.testing.assert_allclose(layer(x[4:5], training=False), expected[4:5], rtol=1e-5)
    psi = np.sqrt(np.mean(np.square(x), (0, 1, 2)) + EPSILON)
    np.testing.assert_allclose(layer(x), x * (0.75 + 0.25 * psi.min() / psi), rtol=1e-5)
    assert not views.squared_means
    for a, b in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kinds", [{}, PAIR])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_of_any_batch_size_says_the_same(kinds, jit_compile):
    layers = [ChainNorm(p=1.0, seed=1) for _ in range(2)]
    for layer in layers:
        layer.build((None, 2, 3, 3))

    def run(layer, x):
        with tf.GradientTape() as tape, batch_views(kinds, seed=SEED):
            tape.watch(x)
            outputs = layer(x, training=True)
            total = tf.reduce_sum(tf.sin(outputs))
        return outputs, tape.gradient(total, x)

    graph = tf.function(
        lambda x: run(layers[1], x),
        input_signature=[tf.TensorSpec((None, 2, 3, 3))],
        jit_compile=jit_compile,
        autograph=False,
    )
    for rows in (8, 4):
        x = tf.constant(images(rows), tf.float32)
        for found, expected in zip(graph(x), run(layers[0], x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for one, other in zip(layers[0].weights, layers[1].weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_statistics_are_float32_under_mixed_precision(dtype):
    layer = ChainNorm(p=1.0, seed=1, dtype=f"mixed_{dtype}")
    x = tf.cast(100.0 + images(8), dtype)
    with batch_views(PAIR):
        outputs = layer(x, training=True)
    assert outputs.dtype == x.dtype
    assert layer.squares.numpy().dtype == np.float32
    expected = Restated()
    for part, kind in zip(np.split(tf.cast(x, tf.float64), 2), PAIR, strict=True):
        expected.forward(part, np.ones((4, 3)), kind)
    np.testing.assert_allclose(layer.squares, [*expected.squares.values()], rtol=1e-5)


def test_a_loss_scale_scales_gradients_alone_and_an_overflow_moves_none():
    found = []
    for scale in (1.0, 64.0):
        layer, x = ChainNorm(p=1.0, seed=1), tf.constant(images(8), tf.float32)
        for factor in (1.0, np.inf, 1.0):
            with tf.GradientTape() as tape, batch_views(PAIR, loss_scale=tf.constant(scale)):
                tape.watch(x)
                total = tf.reduce_sum(tf.sin(layer(x, training=True))) * factor * scale
            gradient = tape.gradient(total, x)
        found.append((gradient / scale, layer.d_gradients))
        assert np.all(np.isfinite(gradient))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings(ARRAY_COPY)
def test_a_saved_layer_goes_on_where_it_was(tmp_path):
    layer = ChainNorm(p=0.5, decay=0.8, epsilon=1e-4, seed=7)
    model = keras.Sequential([keras.Input((2, 3, 3)), layer])
    x = tf.constant(images(8), tf.float32)
    layer.p.assign(0.75)
    model(x, training=True)
    with batch_views(PAIR):
        model(x, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    copy = loaded.layers[-1]
    assert copy.get_config() == layer.get_config()
    assert copy.initial_p == 0.5
    for one, other in zip(layer.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(loaded(x, training=True), model(x, training=True))
    assert not model.trainable_weights


def test_views_are_said_around_the_call():
    assert current_views().kinds == {}
    with batch_views(seed=SEED, of="G"):
        with batch_views(PAIR) as inner:
            assert current_views() is inner
            assert (inner.seed is SEED, inner.of, inner.kinds) == (True, "G", PAIR)
        assert current_views().kinds == {}
    assert current_views().seed is None
    for wrong, message in (({"kinds": {"a": "reel"}}, "kind.*reel"), ({"of": "E"}, "of.*E")):
        with pytest.raises(ValueError, match=message), batch_views(**wrong):
            pass


@pytest.mark.parametrize("wrong", [{"p": 1.5}, {"decay": 1.0}, {"epsilon": 0.0}])
def test_wrong_arguments_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        ChainNorm(**wrong)
    with pytest.raises(ValueError, match="channels must be known"):
        ChainNorm().build((None, 2, 2, None))
