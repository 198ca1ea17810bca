"""Pictures that are small enough to be kept in the repository."""

from pathlib import Path

from PIL import Image

LARGEST = 300_000
"""Bytes that a picture may have."""

WIDEST = 1700
"""Pixels that a picture may be wide."""


def make_small(picture: Path) -> None:
    """Shrink a PNG that is too wide, and take fewer colours until its file is small enough."""
    with Image.open(picture) as image:
        small = image.convert("RGB")
    if small.width > WIDEST:
        small = small.resize((WIDEST, round(small.height * WIDEST / small.width)))
        small.save(picture, optimize=True)
    for colours in (256, 128, 64, 32, 16):
        if picture.stat().st_size <= LARGEST:
            break
        small.quantize(colours).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")
