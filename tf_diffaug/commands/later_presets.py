"""The recipes of what came after the two papers: data, each value with its source.

`[V]`, `[S]` and `[R]` as in `preset_values`, `[S]` being a number that others quote.
"""

from __future__ import annotations

from tf_diffaug.commands.preset_values import Preset

# FastGAN: odegeasslbc/FastGAN-pytorch at 04524ef, train.py, eval.py and models.py [V]: batch 8,
# 50,000 iterations of one D and one G step, Adam 2e-4 with (0.5, 0.999), flips, an average of G of
# 0.999 from the first step on, images sampled with the batch's statistics. It makes 1024 px unless
# told otherwise; the 100-shot sets are of 256. LPIPS is summed over the batch, hence the weight of
# 8. FID as for the same sets in arXiv 2006.10738: 5,000 fakes against the training images [R].
_FASTGAN = """model=fastgan width=64 latent_dim=256 loss=smooth_hinge d_steps=1 batch_size=8
    steps=50_000 g_lr=2e-4 d_lr=2e-4 beta1=0.5 beta2=0.999 policy=color,translation
    regularizers=reconstruction:8 resolution=256 flip=true ema_decay=0.999
    ema_start=0 ema_ramp=none eval_batch_norm=batch fid_features=inception fid_split=train
    num_fakes=5_000 log_every=100 sample_every=1_000 eval_every=5_000 checkpoint_every=1_000 """

LATER = [
    Preset(
        "fastgan-100shot",
        "FastGAN at 256 px on some 100 to 400 images of your own, for one small GPU",
        _FASTGAN,
        "arXiv 2101.04775, the authors' code; its LPIPS is a pixel loss here",
        "a few hours on one RTX 2080 (published, at 1024 px); not yet run here",
        "41.05 Obama, 26.65 grumpy cat, 10.03 panda, as others quote it (5,000 fakes, training "
        "set)",
        "--dataset=folder:PATH",
    ),
]
