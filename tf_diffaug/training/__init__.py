"""Training: the GAN, its step, and what a run does besides."""

from tf_diffaug.schedules import Schedule
from tf_diffaug.training.ema import EMA
from tf_diffaug.training.finite import NonFiniteLossError
from tf_diffaug.training.gan import GAN
from tf_diffaug.training.losses import LOSSES, Loss, get_loss, register_loss
from tf_diffaug.training.modes import MODES, resolve_augment
from tf_diffaug.training.regularizers import (
    REGULARIZERS,
    Regularizer,
    parse_regularizers,
    register_regularizer,
    regularizers_table,
)
from tf_diffaug.training.scheduled import ScheduledAdam
from tf_diffaug.training.strategy import STRATEGIES, make_strategy

__all__ = [
    "EMA",
    "GAN",
    "LOSSES",
    "MODES",
    "REGULARIZERS",
    "STRATEGIES",
    "Loss",
    "NonFiniteLossError",
    "Regularizer",
    "Schedule",
    "ScheduledAdam",
    "get_loss",
    "make_strategy",
    "parse_regularizers",
    "register_loss",
    "register_regularizer",
    "regularizers_table",
    "resolve_augment",
]
