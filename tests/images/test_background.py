"""Regions that show no patient."""

import numpy as np

from xpronet.images.background import empty_regions


def test_dark_and_even_regions_at_the_border_are_empty():
    image = np.full((64, 64), 120, np.uint8)
    image[:, 48:] = 2  # beside the patient
    image[16:32, 16:32] = 3  # air inside the patient
    empty = empty_regions(image, 4)
    assert empty[:, 3].all()
    assert not empty[:, :3].any()


def test_vessels_in_dark_lungs_are_something():
    image = np.random.default_rng(0).integers(0, 40, (64, 64)).astype(np.uint8)
    assert not empty_regions(image, 4).any()
    assert empty_regions(np.zeros((30, 30), np.uint8), 7).all()
