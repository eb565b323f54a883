"""``cupyx.scipy`` of the double."""

from cupyx.scipy import special

__all__ = ["special"]
