"""From a picture file's pixels to a network's input: augmentation, preprocessing, and batches of several sizes."""

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image, ImageEnhance

from .pictures import IGNORE_LABEL, Example


def checked(picture: np.ndarray) -> tuple[int, int]:
    """Return a picture's height and width. Raises ValueError where it is none."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"picture: expected uint8 (H, W, 3) in RGB, received {picture.dtype} {picture.shape}")
    return picture.shape[:2]


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become numbers: (pixels in `order` - mean) / std. It belongs to the weights and travels with them.

    order: "RGB" or "BGR".  mean, std: three floats each, in units of 0..255, in `order`. The default is ImageNet's, as
    torchvision has it.
    """

    order: str = "RGB"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    def __post_init__(self):
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))  # JSON has lists
        if self.order not in ("RGB", "BGR") or {len(self.mean), len(self.std)} != {3}:
            raise ValueError(f"preprocessing: expected RGB or BGR, mean and std of three numbers, received {self}")

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Preprocess a picture uint8 (H, W, 3) in RGB -> float32 (H, W, 3) in `order`."""
        H, W = checked(picture)
        ordered = picture if self.order == "RGB" else picture[..., ::-1]
        # Whole rows of W*3 numbers: broadcasting three numbers at a time is several times slower.
        x = ordered.astype(np.float32, order="C").reshape(H, W * 3)
        x -= np.tile(np.array(self.mean, np.float32), W)
        x /= np.tile(np.array(self.std, np.float32), W)
        return x.reshape(H, W, 3)

    @property
    def fill(self) -> tuple[int, int, int]:
        """The mean colour in RGB, rounded: what a picture is padded with before it is preprocessed."""
        return tuple(min(max(round(x), 0), 255) for x in (self.mean if self.order == "RGB" else self.mean[::-1]))

    def describe(self) -> str:
        """Return it in words, for people."""
        mean, std = (" ".join(f"{x:.6g}" for x in values) for values in (self.mean, self.std))
        return f"{self.order} of 0..255, minus {mean}, divided by {std}"

    def to_dict(self) -> dict:
        """Return a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Preprocessing":
        """Return the Preprocessing that to_dict described; a file's is checked where it is read, by metadata.py."""
        return cls(**values)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training picture, in this order: scale, crop, flip, colours.

    crop: None, or (height, width) to cut out at random; a smaller picture is padded at the bottom and right,
    its labels with void. flip: whether to mirror half of the pictures. scale_jitter: scale by a factor drawn uniformly
    from [1 - scale_jitter, 1 + scale_jitter], pictures bilinear, labels by nearest neighbour. colour_jitter: likewise
    three factors of brightness (0 would be black), contrast (its mean grey) and saturation (shades of grey).
    """

    crop: tuple[int, int] | None = None
    flip: bool = False
    scale_jitter: float = 0.0
    colour_jitter: float = 0.0

    def __call__(self, picture: np.ndarray, labels: np.ndarray, rng, fill=Preprocessing().fill) -> Example:
        """Augment a picture uint8 (H, W, 3) and its labels uint8 (H, W); `fill` is the RGB colour to pad with.

        rng: a np.random.Generator. The inputs are left alone; the outputs may be views of them.
        """
        if self.scale_jitter:
            picture, labels = rescale(picture, labels, rng.uniform(1 - self.scale_jitter, 1 + self.scale_jitter))
        if self.crop is not None:
            height, width = self.crop
            H, W = (max(sides) for sides in zip(labels.shape, self.crop, strict=True))
            if (H, W) != labels.shape:
                picture = _placed(np.full((H, W, 3), fill, np.uint8), picture)
                labels = _placed(np.full((H, W), IGNORE_LABEL, np.uint8), labels)
            top, left = rng.integers(0, H - height + 1), rng.integers(0, W - width + 1)
            window = np.s_[top : top + height, left : left + width]
            picture, labels = picture[window], labels[window]
        if self.flip and rng.random() < 0.5:
            picture, labels = picture[:, ::-1], labels[:, ::-1]
        for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color) if self.colour_jitter else ():
            factor = rng.uniform(1 - self.colour_jitter, 1 + self.colour_jitter)
            picture = np.asarray(kind(Image.fromarray(picture)).enhance(factor))
        return picture, labels


def collate(samples: list[Example], preprocessing: Preprocessing) -> Example:
    """Preprocess N pictures and stack them -> x float32 (N, H, W, 3), labels uint8 (N, H, W).

    H and W are the largest height and width; smaller pictures are padded at the bottom and right: x with zeros, which
    is the mean colour, labels with void.
    """
    H, W = np.max([labels.shape for _, labels in samples], axis=0)
    x = np.zeros((len(samples), H, W, 3), np.float32)
    padded = np.full((len(samples), H, W), IGNORE_LABEL, np.uint8)
    for n, (picture, labels) in enumerate(samples):
        _placed(x[n], preprocessing.apply(picture))
        _placed(padded[n], labels)
    return x, padded


def rescale(picture: np.ndarray, labels: np.ndarray, scale: float) -> Example:
    """Scale a picture bilinearly and its labels by nearest neighbour, both to round(size * scale), at least 1."""
    H, W = labels.shape
    size = (max(1, round(W * scale)), max(1, round(H * scale)))  # Pillow's order
    kinds = ((picture, Image.Resampling.BILINEAR), (labels, Image.Resampling.NEAREST))
    return tuple(np.asarray(Image.fromarray(x).resize(size, kind)) for x, kind in kinds)


def _placed(canvas: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the canvas with x in its upper left corner."""
    canvas[: x.shape[0], : x.shape[1]] = x
    return canvas
