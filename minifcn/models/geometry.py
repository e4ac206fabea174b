"""Where feature maps lie on the picture, and so where to crop.

Pixel i of a feature map is centred at picture coordinate  start + stride i  (the same rule for rows and columns).

    convolution or pooling, kernel k, stride s, padding p    its pixel 0 is centred (k - 1) / 2 - p input pixels in
    transposed convolution, kernel k, stride s, padding p    the inverse of that
    crop of A to B (equal strides)                           pixel 0 of B, counted in pixels of A

docs/pad100_crop19.md derives the numbers of the reference, 19, 5, 27, 9 and 31, from these three lines.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """The centres of a feature map's pixels, in picture pixels; halves are exact in floating point."""

    stride: float = 1
    start: float = 0

    def conv(self, kernel: int, stride: int = 1, padding: int = 0) -> "Grid":
        """The grid of a convolution's or a pool's output."""
        return Grid(self.stride * stride, self.start + self.stride * ((kernel - 1) / 2 - padding))

    def conv_transpose(self, kernel: int, stride: int, padding: int = 0) -> "Grid":
        """The grid of a transposed convolution's output."""
        step = self.stride / stride
        return Grid(step, self.start - step * ((kernel - 1) / 2 - padding))

    def crop_to(self, other: "Grid") -> int:
        """Which pixel of this map lies on pixel 0 of the other. Raises ValueError where none does."""
        offset = (other.start - self.start) / self.stride
        if self.stride != other.stride or offset != int(offset):
            raise ValueError(f"crop: {self} and {other} have no pixels in common")
        return int(offset)


def trunk_grids(pad: int, fc6_padding: int) -> dict[str, Grid]:
    """The grids of the pools and fc7 of VGG-16 with that padding at conv1_1 and fc6."""
    grids, grid = {}, Grid()
    for block in range(1, 6):
        first = grid.conv(3, padding=pad if block == 1 else 1)
        grids[f"pool{block}"] = grid = first.conv(3, padding=1).conv(2, stride=2)  # a third would change nothing
    return grids | {"fc7": grid.conv(7, padding=fc6_padding)}
