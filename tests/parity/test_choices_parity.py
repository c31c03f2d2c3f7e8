"""Each published choice matters: with any other, the figures are missed.

Without this, a setting that is never read would pass all other tests.
"""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def seed() -> int:
    return 0


@pytest.mark.parametrize(
    "other", [{"norm": "torch"}, {"scale": "linear"}, {"gamma": 14}, {"fusion": "add"}, {"visible": "all"}], ids=str
)
def test_other_choices_miss_the_figures(published_network, seed, patches, figures, other):
    network = published_network(seed, **other)
    ids = torch.from_numpy(figures["report_ids"]).long()
    with torch.no_grad():
        logits = network.read(patches, ids[:, :8], torch.from_numpy(figures["labels"]) > 0).logits
    missed = np.abs(logits.log_softmax(-1)[:, :, :32].numpy() - figures["log_probs_sample"])
    # Ten times the tolerance of the parity tests: these are differences, not rounding.
    assert missed.max() > 2e-3
