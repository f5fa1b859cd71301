"""What setup.cfg cannot say: the wheel holds the repository's `pretrained` as `invertnas.pretrained`."""

from setuptools import find_packages, setup

WEIGHTS = "invertnas.pretrained"  # found by `invertnas.files.shipped`

setup(packages=[*find_packages(include=["invertnas*"]), WEIGHTS], package_dir={WEIGHTS: "pretrained"})
