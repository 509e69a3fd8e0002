"""The real images that a run is measured against, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tf_diffaug.data import ImageData
from tf_diffaug.data.packed import digest_images
from tf_diffaug.errors import UserError
from tf_diffaug.evaluation import Extractor, extractor_for, reference_statistics
from tf_diffaug.evaluation.evaluate import RealFeatures, counter, look_at_moments, needs
from tf_diffaug.evaluation.metrics import METRICS, FeatureSet, Moments
from tf_diffaug.evaluation.reference import reference_features
from tf_diffaug.runs.config import Config, fields

Progress = Callable[[int, int], None]


class Reals:
    """The real images of a run and their features, made once for all that is measured.

    One object may serve several checkpoints of a run, and runs on the same images. Where the
    metrics look at mean and covariance alone, as the FID does, nothing else is made or kept.

    Args:
        config: the settings of the run.
        data: its images.
        metrics: names of metrics; None is all.
        keep_all: keep every image's features, whatever the metrics need.
        cache: whether what is made may be kept in the user's cache directory.
        progress: told how many images are done, of how many.

    Raises:
        ValueError: if the extractor cannot be had, there is no split as asked, or a metric needs
            what there is not.
    """

    def __init__(
        self,
        config: Config,
        data: ImageData,
        metrics: Sequence[str] | None,
        *,
        keep_all: bool = False,
        cache: bool = True,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self.split, images = reference_images(config, data)
        _refuse_no_held_out(metrics or (), config, data)
        extractor = extractor_for(config.fid_features, config.dataset, images.shape[1])
        if extractor is None:
            raise UserError(
                "there are no features to measure with: add --fid_features=auto. "
                f"Received: --fid_features={config.fid_features}."
            )
        self.extractor: Extractor = extractor
        _refuse_no_classes(metrics or (), extractor, images)
        self.labels = data.labels if self.split == "train" else data.test_labels
        self._cache_dir = "auto" if cache else None
        if look_at_moments(metrics) and not keep_all:
            self.features = self._moments(images, progress)
        else:
            self.features = self._every_feature(images, data, needs(metrics), progress)

    @property
    def fingerprint(self) -> str:
        """A digest of the images that fakes are measured against."""
        return self.features.fingerprint

    def _moments(self, images: np.ndarray, progress: Progress) -> RealFeatures:
        statistics = reference_statistics(
            images,
            self.extractor,
            cache_dir=self._cache_dir,
            progress=counter(progress, len(images)),
        )
        return RealFeatures(Moments(statistics), fingerprint=statistics.fingerprint)

    def _every_feature(
        self, images: np.ndarray, data: ImageData, needed: set[str], progress: Progress
    ) -> RealFeatures:
        wanted = {"reference": images}
        if needed & {"train", "held_out"}:
            wanted["train"] = data.images
        if "held_out" in needed and data.test is not None:
            wanted["held_out"] = data.test
        total = sum(len(images) for images in {id(i): i for i in wanted.values()}.values())
        known: dict[int, FeatureSet] = {}
        count = counter(progress, total)
        fingerprint = digest_images(images)
        for some in wanted.values():
            if id(some) not in known:
                known[id(some)] = reference_features(
                    some,
                    self.extractor,
                    cache_dir=self._cache_dir,
                    fingerprint=fingerprint if some is images else None,
                    progress=count,
                )
        made = {name: known[id(some)] for name, some in wanted.items()}
        return RealFeatures(**made, fingerprint=fingerprint)


def reference_images(config: Config, data: ImageData) -> tuple[str, np.ndarray]:
    """The split that fakes are measured against, and its images.

    Raises:
        UserError: if the data has no test images and they were asked for, or too few.
    """
    if config.fid_split == "test" and data.test is None:
        raise UserError(
            f"{config.dataset} has no test images. Received: --fid_split=test. "
            "Choose train or auto."
        )
    split = config.fid_split
    if split == "auto":
        split = "train" if data.test is None else "test"
    images = data.images if split == "train" else data.test
    if len(images) < 2:
        raise UserError(
            f"an FID is against 2 images or more: add --fid_features=none. "
            f"Received: {len(images)} image of the {split} split."
        )
    return split, images


def _refuse_no_held_out(metrics: Sequence[str], config: Config, data: ImageData) -> None:
    """Before anything is measured: fakes alone may take minutes."""
    names = [n for n in metrics if n in METRICS and "held_out" in METRICS[n].needs]
    if names and data.test is None:
        raise UserError(
            f"{' and '.join(names)} needs features of held-out images, and {config.dataset} has "
            f"none. Received: --metrics={','.join(metrics)}."
        )


def _refuse_no_classes(metrics: Sequence[str], extractor: Extractor, images: np.ndarray) -> None:
    names = [n for n in metrics if n in METRICS and "probabilities" in METRICS[n].needs]
    if names and extractor.outputs(images[:1]).probabilities is None:
        raise UserError(
            f"{' and '.join(names)}: measured on a classifier's probabilities, which "
            f"{extractor.name} does not give. Choose other --fid_features. "
            f"Received: --metrics={','.join(metrics)}."
        )


def check_evaluation(config: Config, data: ImageData) -> None:
    """Checks that the images have what is measured in training, without a look at them.

    Raises:
        UserError: if they do not, or there is nothing to measure with.
    """
    if config.fid_features == "none":
        if config.metrics != fields()["metrics"].default:
            raise UserError(
                "metrics are made of features, and --fid_features=none has none: leave one of the "
                f"two out. Received: --metrics={config.metrics}."
            )
        return
    reference_images(config, data)
    names = config.metric_names
    lacking = [name for name in names if data.test is None and "held_out" in METRICS[name].needs]
    if lacking:
        left = [name for name in sorted(METRICS) if "held_out" not in METRICS[name].needs]
        raise UserError(
            f"{' and '.join(lacking)}: measured on held-out images, and {config.dataset} has "
            f"none. Choose from {', '.join(left)}. Received: --metrics={config.metrics}."
        )
