"""What pictures can be made of a run, said before any is."""

from __future__ import annotations

from tf_diffaug.runs.generate.source import ImageSource
from tf_diffaug.training.calls import has_uniform_latents


def inability(source: ImageSource, what: str) -> str | None:
    """Why a run has no such picture, in one line; None if it has.

    Args:
        source: where its images come from.
        what: the name of a function that makes a picture, such as `mixing`.
    """
    generator = source.run.gan.generator
    name = type(generator).__name__
    if what in ("classes", "class_interpolation") and source.num_classes is None:
        return "The run is unconditional: it has no classes to show."
    if what == "class_interpolation":
        if not getattr(generator, "takes_class_weights", False):
            return f"{name} takes whole labels, and nothing between two classes."
        classes = range(source.num_classes) if source.classes is None else source.classes
        if len(classes) < 2:
            return f"There is nothing between fewer than two classes. Received: {list(classes)}."
    if what == "mixing" and not source.sampler.has_styles:
        return f"{name} has no styles to mix, as StyleGAN2's has."
    if what == "truncation" and has_uniform_latents(generator):
        return "Truncation is of normal latents, and this generator's are uniform."
    return None


def refuse_unable(source: ImageSource, what: str) -> None:
    """Raises ValueError with the reason why a run has no such picture, if there is one."""
    reason = inability(source, what)
    if reason is not None:
        raise ValueError(reason)
