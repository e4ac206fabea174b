"""The settings of a run: what decides its result."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class Settings:
    """What decides a run's result. A command fills it from its command line and explains each in --help."""

    data: str
    steps: int
    init: str | None = None
    trunk: str = "vgg_quarter"
    batch: int = 2
    accumulate: int = 1
    lr: float = 0.01
    reduction: str = "mean"
    schedule: str = "poly"
    warmup: int = 0
    clip: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    dropout: float = 0.0
    flip: bool = True
    val_every: float = 1.0
    low_memory: bool = False
    seed: int = 0


@dataclass(kw_only=True)
class SegmentationSettings(Settings):
    """What decides the result of training an FCN; minifcn.train explains each in --help."""

    model: str
    pad: str | int = "same"
    upsampling: str = "learnt"
    skip_scale: tuple[float, float] = (1.0, 1.0)
    balance: bool = False
    crop: tuple[int, int] | None = None
    scale_jitter: float = 0.0
    # of minifcn.table1: all pictures at this scale; this share of the training pictures; and whether the last tenth of
    # them is held out, to choose the checkpoint on, so that test (or val, where there is none) is scored only once
    scale: float = 1.0
    fraction: float = 1.0
    held_out: bool = False


@dataclass(kw_only=True)
class ClassificationSettings(Settings):
    """What decides the result of pretraining; minifcn.pretrain explains each in --help."""

    size: int = 128
    crop: int = 112
