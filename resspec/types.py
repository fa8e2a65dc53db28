"""The type of what flows through a network: one example's tensor, batch axis left out."""

from __future__ import annotations

from math import prod

from resspec.record import fixed


@fixed(frozen=True, slots=True)
class TensorType:
    """Shape of one example: (channels, height, width), or (channels,) once flattened."""

    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.shape[0]

    @property
    def height(self) -> int:
        return self.shape[1] if self.is_map else 1

    @property
    def width(self) -> int:
        return self.shape[2] if self.is_map else 1

    @property
    def spatial(self) -> tuple[int, int]:
        return self.shape[1:] if self.is_map else (1, 1)  # type: ignore[return-value]

    @property
    def is_map(self) -> bool:
        """True for a feature map (C, H, W), False for a vector (C,)."""
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def with_channels(self, channels: int) -> TensorType:
        return TensorType((channels, *self.shape[1:]))

    def with_spatial(self, height: int, width: int) -> TensorType:
        return TensorType((self.channels, height, width))

    def __str__(self) -> str:
        return "×".join(map(str, self.shape))
