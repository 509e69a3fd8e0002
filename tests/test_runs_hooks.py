import keras
import numpy as np
from PIL import Image

from tests.networks import make_feature_gan, make_gan, make_images
from tf_diffaug.data import ImageData, batches
from tf_diffaug.images import to_uint8
from tf_diffaug.runs import CheckpointStore, RunDirectory, Sampler, hooks
from tf_diffaug.runs.progress import Progress
from tf_diffaug.training.loop import Hook, Loop

IMAGES = make_images(40)


def train(gan, steps, *given, labels=None):
    data = ImageData(name="noise", images=IMAGES, labels=labels, class_names=tuple("abc"))
    Loop(gan, lambda context: batches(data, 8, seed=0)).run(steps, given)


def test_metrics_look_at_labelled_images_alone(tmp_path, monkeypatch):
    labels = np.where(np.arange(40) % 4, -1, 2)
    run = RunDirectory(tmp_path)
    gan = make_feature_gan(conditional=True, regularizers="s3gan")
    metrics = hooks.Metrics(gan, run, 1, images=IMAGES, labels=labels, batch_size=8, count=16)
    shown = []
    measure = gan.measure
    monkeypatch.setattr(
        gan, "measure", lambda *given, **rest: shown.append(given) or measure(*given, **rest)
    )
    train(gan, 1, metrics, labels=labels)
    images, chosen = shown[0]
    np.testing.assert_array_equal(chosen, np.full(16, 2))
    known = {image.tobytes() for image in IMAGES[::4]}
    assert {image.tobytes() for image in to_uint8(images).numpy()} <= known
    assert np.isfinite(run.records("train")[0]["r_t"])


def test_held_out_images_without_labels_are_not_shown_to_a_conditional_d(tmp_path):
    labels = np.arange(40) % 3
    run = RunDirectory(tmp_path)
    gan = make_feature_gan(conditional=True)
    options = {"images": IMAGES, "labels": labels, "batch_size": 8, "count": 16}
    metrics = hooks.Metrics(gan, run, 1, **options, held_out=IMAGES)
    train(gan, 1, metrics, labels=labels)
    (record,) = run.records("train")
    assert np.isfinite(record["r_t"])
    assert not {"r_v", "d_held_out", "accuracy_held_out"} & set(record)


class Sees(Hook):
    def __init__(self):
        super().__init__()
        self.steps = []

    def after(self, steps):
        self.steps.append(steps)


def test_metrics_are_recorded(tmp_path):
    run = RunDirectory(tmp_path)
    gan = make_gan(policy="color", regularizers="r1:1")
    metrics = hooks.Metrics(gan, run, 2, images=IMAGES, batch_size=8, held_out=IMAGES, count=16)
    seen = Sees()
    train(gan, 4, seen, metrics)
    records = run.records("train")
    assert [record["step"] for record in records] == [2, 4]
    assert set(records[0]) == {
        *("step", "kind", "d_loss", "g_loss", "r1", "d_real", "d_fake", "d_held_out"),
        *("accuracy_real_aug", "accuracy_fake_aug", "accuracy_fake", "r_t", "r_v"),
        *("accuracy_held_out", "images_per_second"),
    }
    for name in ("d_loss", "g_loss", "r1"):
        losses = np.concatenate([steps.losses[name] for steps in seen.steps]).astype(np.float64)
        assert [record[name] for record in records] == [losses[:2].mean(), losses[2:].mean()]
    assert records[0]["images_per_second"] > 0


def test_gauges_are_recorded_as_they_are(tmp_path):
    run = RunDirectory(tmp_path)
    gan = make_gan(policy="color", regularizers="ada(-1, kimg=0.1)")
    train(gan, 8, hooks.Metrics(gan, run, 4, images=IMAGES, batch_size=8, count=16))
    (ada,) = gan.regularizers
    records = run.records("train")
    assert records[1]["ada_p"] == float(ada.p) > records[0]["ada_p"] > 0


def test_what_follows_a_schedule_is_recorded_as_it_is_after_the_step(tmp_path):
    run = RunDirectory(tmp_path)
    gan = make_gan(regularizers="r1:linear(4, 0, images=64)")
    train(gan, 4, hooks.Metrics(gan, run, 2, images=IMAGES, batch_size=8, count=16))
    assert [record["r1_weight"] for record in run.records("train")] == [3.0, 2.0]


def test_evaluations_are_recorded_and_the_best_kept(tmp_path):
    run, gan = RunDirectory(tmp_path), make_gan()
    store = CheckpointStore(gan, run.checkpoints)
    fids = iter((3.0, 1.0, 2.0))
    evaluate = hooks.Evaluation(
        gan, run, 1, lambda _: {"fid": next(fids), "protocol": {"split": "train"}}, store=store
    )
    train(gan, 3, evaluate)
    assert [record["fid"] for record in run.records("eval")] == [3.0, 1.0, 2.0]
    assert run.last("eval") == {
        "step": 3,
        "kind": "eval",
        "fid": 2.0,
        "protocol": {"split": "train"},
    }
    assert store.best.endswith("step-2")


def test_the_metric_asked_for_chooses_the_best(tmp_path):
    run, gan = RunDirectory(tmp_path), make_gan()
    store = CheckpointStore(gan, run.checkpoints, better="higher")
    values = iter(((3.0, 0.5), (1.0, 0.25), (2.0, 0.5)))
    evaluate = hooks.Evaluation(
        gan,
        run,
        1,
        lambda _: dict(zip(("fid", "precision"), next(values), strict=True)),
        store=store,
        best_by="precision",
    )
    train(gan, 3, evaluate)
    assert store.best.endswith("step-1")
    assert store.best_value == 0.5


def test_samples_are_of_the_same_latents_each_time(tmp_path):
    run, gan = RunDirectory(tmp_path), make_gan()
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    train(gan, 2, hooks.Samples(run, 1, Sampler(gan), rows=2, columns=3))
    first, second = (np.asarray(Image.open(p)) for p in sorted(run.samples.iterdir()))
    assert first.shape == (2 * (2 * 10 + 2), 2 * (3 * 10 + 2), 3)
    # Batch norm's moving averages have moved, the rest has not.
    assert np.abs(first.astype(int) - second).mean() < 40


def test_progress_shows_step_losses_and_fid(tmp_path, capsys):
    run = RunDirectory(tmp_path)
    run.append({"step": 0, "kind": "eval", "fid": 12.34})
    train(make_gan(), 3, Progress(run, 3, interval=0))
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "d_loss=" in shown
    assert "FID=12.3" in shown


def test_progress_shows_what_a_run_measures(tmp_path, capsys):
    run = RunDirectory(tmp_path)
    record = {"kid": 0.012345, "kid_stderr": 0.5, "precision": 0.25, "leak": 0.75, "protocol": {}}
    run.append({"step": 0, "kind": "eval", **record})
    train(make_gan(), 1, Progress(run, 1, interval=0))
    assert "KID=0.0123, precision=0.25]" in capsys.readouterr().err
