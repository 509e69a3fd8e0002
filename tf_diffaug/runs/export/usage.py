"""The lines of Python that load what was exported."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from tf_diffaug.runs.export.formats import FORMATS
from tf_diffaug.runs.export.served import FROM_SEED, psi_of
from tf_diffaug.runs.generate.source import ImageSource


def loading(source: ImageSource, formats: Sequence[str]) -> str:
    """A block of code for each format, run where the files lie."""
    blocks = []
    for name in formats:
        code, text = _CODE[name]
        code = textwrap.dedent(code).strip().format(**_words(source, name))
        blocks.append(f"{text}\n\n```python\n{code}\n```")
    where = (
        'Elsewhere the files are in `huggingface_hub.snapshot_download("USER/NAME")`; paths '
        "are from there."
    )
    return "\n\n".join([*blocks, where])


def _words(source: ImageSource, name: str) -> dict[str, str]:
    """What the code of one generator says in its own way."""
    is_conditional = source.num_classes is not None
    psi = psi_of(source)
    numpy = name in ("tflite", "onnx")
    maker = "np.zeros(16, np.int32)" if numpy else "tf.zeros(16, tf.int32)"
    pair = {"tflite": "labels=labels", "onnx": '"labels": labels'}.get(name, "")
    return {
        "file": FORMATS[name].file,
        "from_seed": FROM_SEED,
        "latent_dim": str(source.run.gan.latent_dim),
        "labels": f"\nlabels = {maker}  # the class of each" if is_conditional else "",
        "more": f", {pair}" if is_conditional else "",
        "inputs": "(latents, labels)" if is_conditional else "latents",
        "psi": "" if psi is None else f", truncation_psi={psi:g}",
        "latents": _LATENTS[numpy].format(dim=source.run.gan.latent_dim),
        "open": "{",
        "close": "}",
    }


_LATENTS = {
    False: "tf.random.normal((16, {dim}))",
    True: "np.random.default_rng(0).normal(size=(16, {dim})).astype(np.float32)",
}
_CODE = {
    "keras": (
        """
        import keras
        import tensorflow as tf
        import tf_diffaug  # its layers

        generator = keras.models.load_model("{file}")
        latents = {latents}{labels}
        images = generator({inputs}, training=False{psi})  # floats in [-1, 1]
        """,
        "As a Keras model, with tf-diffaug installed:",
    ),
    "saved_model": (
        """
        import tensorflow as tf

        model = tf.saved_model.load("{file}/1")
        make = model.signatures["{from_seed}"]
        made = make(seed=tf.constant(0, tf.int64), count=tf.constant(16))
        images = made["images"].numpy()  # uint8
        """,
        "With TensorFlow alone, images by seed (latents go to `serving_default`):",
    ),
    "tflite": (
        """
        import numpy as np
        import tensorflow as tf

        runner = tf.lite.Interpreter("{file}").get_signature_runner()
        latents = {latents}{labels}
        images = runner(latents=latents{more})["images"]  # uint8
        """,
        "With TensorFlow Lite:",
    ),
    "onnx": (
        """
        import numpy as np
        import onnxruntime

        session = onnxruntime.InferenceSession("{file}")
        latents = {latents}{labels}
        (images,) = session.run(None, {open}"latents": latents{more}{close})  # uint8
        """,
        "With ONNX Runtime:",
    ),
}
