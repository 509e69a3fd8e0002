"""The loop takes the steps that `fit` takes, to the bit, and ends where it should."""

import os
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import make_conditional_gan, make_gan, make_images
from tf_diffaug.data import ImageData, batches
from tf_diffaug.runs import CheckpointStore, hooks
from tf_diffaug.training import NonFiniteLossError, make_strategy
from tf_diffaug.training.loop import Hook, Loop, stopped_by_signals

OPTIONS = {"policy": "color,translation,cutout", "regularizers": "r1:1"}


def dataset(context=None, *, size=8, classes=None):
    labels = None if classes is None else np.arange(40) % classes
    data = ImageData(name="noise", images=make_images(40), labels=labels)
    whole = batches(data, size, seed=0)
    if context is None or context.num_replicas_in_sync == 1:
        return whole
    return whole.rebatch(context.get_per_replica_batch_size(size))


def values(gan):
    return [variable.numpy() for group in gan.state().values() for variable in group]


class Sees(Hook):
    """Notes what it is told."""

    def __init__(self, every=0):
        super().__init__(every)
        self.told = []
        self.losses = {}

    def begin(self, step):
        self.told.append(("begin", step))

    def after(self, steps):
        self.told.append(("after", steps.first, steps.last))
        for name, terms in steps.losses.items():
            self.losses.setdefault(name, []).extend(terms.tolist())

    def act(self, step):
        self.told.append(("act", step))

    def end(self, step):
        self.told.append(("end", step))


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = {}

    def on_train_batch_end(self, batch, logs=None):
        for name, value in logs.items():
            self.losses.setdefault(name, []).append(float(value))


def fitted_and_looped(strategy, make, steps, **data):
    """Two GANs that are alike, one trained by `fit` and one by the loop, and what each logged."""
    with strategy.scope():
        fitted, looped = make(), make()
    logged, seen = Losses(), Sees(every=5)
    fitted.fit(dataset(**data), steps_per_epoch=steps, verbose=0, callbacks=[logged])
    Loop(looped, lambda context: dataset(context, **data)).run(steps, [seen])
    return fitted, looped, logged.losses, seen.losses


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (lambda: make_gan(**OPTIONS), {}),
        (lambda: make_gan(policy="color", regularizers="ada(kimg=0.1)", d_steps=2), {"size": 16}),
        (lambda: make_conditional_gan(policy="color"), {"classes": 3}),
    ],
    ids=["plain", "ada", "conditional"],
)
def test_it_has_the_bits_of_fit(make, data):
    fitted, looped, logged, seen = fitted_and_looped(make_strategy("one_device"), make, 12, **data)
    # With several threads TensorFlow's own sums now and then differ in the last bit.
    atol = 0 if os.environ.get("TF_NUM_INTRAOP_THREADS") == "1" else 1e-5
    for expected, found in zip(values(fitted), values(looped), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    assert seen.keys() == logged.keys()
    for name, losses in logged.items():
        np.testing.assert_allclose(seen[name], losses, rtol=0, atol=atol)


@pytest.mark.slow
def test_to_the_last_bit_on_one_thread():
    environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", __file__, "-k", "bits_of_fit"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_hooks_act_at_their_multiples_and_the_end():
    gan = make_gan()
    often, seldom, never = Sees(every=2), Sees(every=4), Sees()
    assert Loop(gan, dataset, most_steps=3).run(9, [often, seldom, never]) == 9
    assert [one for one in often.told if one[0] == "act"] == [("act", s) for s in (2, 4, 6, 8, 9)]
    assert [one for one in seldom.told if one[0] == "act"] == [("act", s) for s in (4, 8, 9)]
    assert never.told == [
        ("begin", 0),
        # The first call takes one step, the others as many as there are until something is due.
        *[("after", *steps) for steps in ((1, 1), (2, 2), (3, 4), (5, 6), (7, 8), (9, 9))],
        ("end", 9),
    ]


def test_a_call_takes_no_more_steps_than_it_may():
    seen = Sees()
    Loop(make_gan(), dataset, most_steps=3).run(8, [seen])
    assert [one[1:] for one in seen.told if one[0] == "after"] == [(1, 1), (2, 4), (5, 7), (8, 8)]


def test_it_goes_on_from_the_step_that_the_gan_is_at():
    gan, seen = make_gan(), Sees()
    Loop(gan, dataset).run(2)
    Loop(gan, dataset).run(5, [seen])
    assert seen.told == [("begin", 2), ("after", 3, 3), ("after", 4, 5), ("end", 5)]


def test_a_negative_cadence_is_refused():
    with pytest.raises(ValueError, match="Received: every=-1"):
        Hook(-1)


def test_the_first_loss_that_is_not_finite_ends_it_before_any_hook():
    gan = make_gan()
    train_step = gan.train_step

    def breaks(data):
        logs = train_step(data)
        bad = tf.where(gan.step >= 4, np.inf, 0.0)  # the step has been counted
        return {**logs, "g_loss": logs["g_loss"] + bad}

    gan.train_step = breaks
    seen = Sees(every=3)
    with pytest.raises(NonFiniteLossError, match=r"in step 4: g_loss is inf") as error:
        Loop(gan, dataset).run(9, [seen])
    assert (error.value.step, list(error.value.terms)) == (4, ["g_loss"])
    assert seen.told[-2:] == [("after", 2, 3), ("act", 3)]


class Signals(Hook):
    """Sends a signal while the devices are at work."""

    def __init__(self, number, at):
        super().__init__()
        self._number = number
        self._at = at
        self.sent_at = None

    def glance(self, step):
        if step >= self._at and self.sent_at is None:
            signal.raise_signal(self._number)
            self.sent_at = step


def test_a_signal_ends_it_within_a_call_and_saves(tmp_path):
    gan = make_gan()
    store = CheckpointStore(gan, tmp_path)
    before, interrupt = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    loop = Loop(gan, dataset, most_steps=100_000)
    sends = Signals(signal.SIGTERM, at=2)
    with stopped_by_signals(loop) as received:
        step = loop.run(100_000, [sends, hooks.Checkpoints(store, 0)])
        assert signal.getsignal(signal.SIGTERM) is before  # a second one ends the process
    assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) is interrupt
    assert sends.sent_at <= step < 100_000
    assert int(gan.step) == step
    assert store.latest.endswith(f"step-{step}")


def test_a_signal_between_two_calls_is_heeded():
    class Sends(Hook):
        def act(self, step):
            os.kill(os.getpid(), signal.SIGTERM)

    loop = Loop(make_gan(), dataset)
    with stopped_by_signals(loop):
        assert loop.run(10, [Sends(3)]) == 3


def test_what_a_hook_raises_comes_through_and_no_thread_stays():
    class Breaks(Hook):
        def act(self, step):
            raise OSError("full")

    before = threading.active_count()
    with pytest.raises(OSError, match="full"):
        Loop(make_gan(), dataset).run(3, [Breaks(2)])
    assert threading.active_count() == before
