"""The recipes of what came after the two papers: data, each value with its source.

`[V]`, `[S]` and `[R]` as in `preset_values`, `[S]` being a number that others quote.
"""

from __future__ import annotations

from tf_diffaug.commands.preset_values import Preset

# R3GAN: brownvc/R3GAN at 19a7ddf, train.py, the preset CIFAR10 with --batch=512 --mirror=1 --aug=1
# --cond=1 [V]: width 768, 64-d z, each schedule a cosine over 20 million images. It stops nowhere
# (--kimg is 10 billion images); here it does with its schedules. FID of 50,000 fakes against the
# training images [V]. Its augmentation is ADA's with a multiplier of each op's p, 1/2 for colours
# [V], where here all have one p. What it draws from normal numbers (log2 of the scale of deviation
# 0.2, shifts 0.125 of the side, brightness 0.2 on [-1, 1]) is uniform here, sqrt(3) as wide. Turns
# by 90 degrees, stretching and luma flips are not here, and its factors of contrast and saturation
# are powers of 2.
_R3GAN_POLICY = (
    "flip, translation(0.125, fill=reflect), scale:0.35, rotation:1, "
    "translation(0.22, fill=reflect, continuous=True), color(brightness=0.17), hue:0.5, cutout"
)


def r3gan_schedules(images: str) -> str:
    """The flags that follow the images seen, up to so many."""
    rate, gamma = f"cosine(2e-4, 5e-5, images={images})", f"cosine(0.05, 0.005, images={images})"
    return f"""g_lr='{rate}' d_lr='{rate}' beta2='cosine(0.9, 0.99, images={images})'
        regularizers='r1:{gamma}, r2:{gamma}' policy_probability='cosine(0, 0.55, images={images})'
        """


_R3GAN = f"""model=r3gan conditional=true width=768 latent_dim=64 dataset=cifar10 flip=true
    loss=relativistic policy='{_R3GAN_POLICY}' augment=both batch_size=512 steps=39_063 d_steps=1
    beta1=0 {r3gan_schedules("20e6")} ema_half_life='cosine(0, 5e6, images=20e6)' ema_ramp=none
    fid_features=inception fid_split=train num_fakes=50_000
    log_every=50 sample_every=1_000 eval_every=5_000 checkpoint_every=500 """

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
        "r3gan-cifar10",
        "R3GAN on CIFAR-10, class-conditional",
        _R3GAN,
        "arXiv 2501.05441, the authors' code; its augmentation has four more ops",
        "8 GPUs (published), no end named; here its schedules end it; not yet run here",
        "1.96, as others quote it (50,000 fakes, training set)",
    ),
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
