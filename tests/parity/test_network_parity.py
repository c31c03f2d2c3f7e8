"""The network without its backbone against figures computed with the authors' code."""

import numpy as np
import pytest
import torch

from xpronet.generation.beam import beam_search
from xpronet.model.decoding import Decoding
from xpronet.model.network import XProNet
from xpronet.model.report_model import Outputs, Patches
from xpronet.model.search_settings import BeamSettings
from xpronet.training.losses import Losses, LossSettings, losses
from xpronet.training.optimiser import TrainSettings, make_optimiser

PUBLISHED = LossSettings(text_mean="positions", findings=0.0)


@pytest.fixture(scope="module")
def ids(figures) -> torch.Tensor:
    return torch.from_numpy(figures["report_ids"]).long()


@pytest.fixture(scope="module")
def labels(figures) -> torch.Tensor:
    return torch.from_numpy(figures["labels"]) > 0


@pytest.fixture(scope="module")
def target_mask(figures) -> torch.Tensor:
    return torch.from_numpy(figures["report_mask"])[:, 1:] > 0


@pytest.fixture(scope="module")
def outputs(network: XProNet, patches: Patches, ids, labels) -> Outputs:
    with torch.no_grad():
        return network.read(patches, ids[:, :-1], labels)


@pytest.fixture(scope="module")
def terms(outputs, ids, target_mask, labels) -> Losses:
    return losses(outputs, ids[:, 1:], target_mask, labels, PUBLISHED)


def test_log_probabilities_of_given_reports(outputs, figures):
    log_probabilities = outputs.logits.log_softmax(-1)
    np.testing.assert_allclose(log_probabilities[:, :8, :32], figures["log_probs_sample"], rtol=0, atol=2e-4)
    # The sum over all positions and words sees what the sample leaves out.
    assert log_probabilities.double().abs().sum() == pytest.approx(float(figures["log_probs_sum_abs"]), rel=1e-6)


@pytest.mark.parametrize(
    ("term", "figure"), [("words", "ce"), ("image_contrast", "img_con"), ("text_contrast", "txt_con")]
)
def test_loss_terms(terms, figures, term, figure):
    assert getattr(terms, term).item() == pytest.approx(figures[figure].item(), abs=1e-5)


def test_text_term_needs_the_published_mean(outputs, figures, ids, target_mask, labels):
    ours = losses(outputs, ids[:, 1:], target_mask, labels, LossSettings(findings=0.0))
    assert ours.words == pytest.approx(figures["ce"].item(), abs=1e-5)
    assert abs(ours.text_contrast.item() - figures["txt_con"].item()) > 1e-4


def test_beam_search(network, patches, labels, figures):
    with torch.inference_mode():
        decoding = Decoding(network, network.encode(patches, labels), num_beams=3, max_steps=60)
        found = beam_search(decoding, num_studies=6, begin=0, end=0, settings=BeamSettings(beams=3, max_words=60))
    expected = [row[: np.argmax(row == 0) if (row == 0).any() else None].tolist() for row in figures["beam3_tokens"]]
    found = [reports[0] for reports in found]
    assert [list(report.words) for report in found] == expected
    np.testing.assert_allclose(
        [report.log_probability for report in found], figures["beam3_logprob"], rtol=0, atol=1e-3
    )


def test_four_training_steps(network, patches, ids, labels, target_mask, figures):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimiser = make_optimiser(network, TrainSettings(learning_rate=1e-4))
    seen = []
    for _ in range(4):
        step = losses(network.read(patches, ids[:, :-1], labels), ids[:, 1:], target_mask, labels, PUBLISHED)
        optimiser.zero_grad()
        torch.autograd.backward(step.total)
        optimiser.step()
        seen.append([step.words.item(), step.image_contrast.item(), step.text_contrast.item(), step.total.item()])
    network.load_state_dict(before)
    np.testing.assert_allclose(seen, figures["train_losses"], rtol=0, atol=1e-3)
