"""The fixed batch of CIFAR-10 images that proxies look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, sha256_arrays

IMAGES = Path(__file__).parent / "data" / "cifar10_images.npz"
SHA256 = "f66bfecab9203910cd8d1aefd87a3a0b74994de6799b3bbbea8f462b21932876"
NUM_IMAGES, NUM_TRAIN, SIZE = 128, 64, 32
# Of the training images of CIFAR-10 in 0..255, as NAS-Bench-201 trains.
PIXEL_MEAN, PIXEL_STD = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)


def read_images(path: Path = IMAGES) -> npt.NDArray[np.uint8]:
    """(128, 32, 32, 3) images, red green blue: 64 training images, then 64 test images (`data/SOURCES.md`).

    Raises:
        DataMissingError: there is no such file.
        ArtefactError: it is damaged or another one.
    """
    if not path.is_file():
        raise DataMissingError(f"no images at {path}; reinstall InvertNAS, or in a checkout restore the file with git")
    images = read_arrays(path).get("images")
    if images is None or sha256_arrays(images) != SHA256:
        raise ArtefactError(f"{path} does not hold the images of the package; restore the shipped file")
    return images


def image_batch(count: int, size: int = SIZE, path: Path = IMAGES) -> npt.NDArray[np.float32]:
    """(count, size, size, 3) normalised images, the training images first.

    Smaller images are means over blocks of pixels.

    Raises:
        ConfigError: more images than there are, or a size that does not divide 32.
        DataMissingError, ArtefactError: see `read_images`.
    """
    if not 1 <= count <= NUM_IMAGES or size < 1 or SIZE % size:
        raise ConfigError(f"got {count} images of size {size}; expected 1 to {NUM_IMAGES} and a divisor of {SIZE}")
    block = SIZE // size
    images = read_images(path)[:count].reshape(count, size, block, size, block, 3).mean(axis=(2, 4))
    return ((images - np.array(PIXEL_MEAN)) / np.array(PIXEL_STD)).astype(np.float32)
