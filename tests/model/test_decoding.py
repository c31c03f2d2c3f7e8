import pytest
import torch

from xpronet.model.decoding import Decoding
from xpronet.model.report_model import Patches

REPORTS = torch.tensor([[[1, 5, 6, 7], [1, 5, 9, 4]], [[1, 8, 8, 3], [1, 10, 3, 6]]])


@pytest.fixture
def patches() -> Patches:
    features = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(5))
    return Patches(features, torch.tensor([[True] * 8, [True] * 4 + [False] * 4]))


FINDINGS = torch.tensor([[True, False, True, False], [False] * 4])


def test_word_by_word_equals_all_at_once(make_network, patches):
    network = make_network()
    with torch.inference_mode():
        decoding = Decoding(network, network.encode(patches, FINDINGS), num_beams=2, max_steps=4)
        steps = torch.stack([decoding.step(REPORTS[..., place]) for place in range(4)], dim=2)
        for beam in range(2):
            whole = network.read(patches, REPORTS[:, beam], FINDINGS).logits.log_softmax(-1)
            torch.testing.assert_close(steps[:, beam], whole, rtol=0, atol=1e-5)


def test_beams_that_swap_take_their_words_along(make_network, patches):
    network = make_network()
    swapped = torch.tensor([[1, 0], [1, 1]])
    with torch.inference_mode():
        decoding = Decoding(network, network.encode(patches, FINDINGS), num_beams=2, max_steps=4)
        for place in range(3):
            decoding.step(REPORTS[..., place])
        scores = decoding.step(REPORTS[..., 3], swapped)
        for study in range(2):
            for beam in range(2):
                words = torch.cat([REPORTS[study, swapped[study, beam], :3], REPORTS[study, beam, 3:]])
                only = Patches(patches.features[study : study + 1], patches.mask[study : study + 1])
                whole = network.read(only, words.unsqueeze(0), FINDINGS[study : study + 1])
                expected = whole.logits[0, -1].log_softmax(-1)
                torch.testing.assert_close(scores[study, beam], expected, rtol=0, atol=1e-5)


def test_studies_that_are_done_can_go(make_network, patches):
    network = make_network()
    with torch.inference_mode():
        encoded = network.encode(patches, FINDINGS)
        both, one = (Decoding(network, encoded, num_beams=2, max_steps=4) for _ in range(2))
        for decoding in (both, one):
            decoding.step(REPORTS[..., 0])
        one.keep(torch.tensor([1]))
        for place in (1, 2):
            kept = one.step(REPORTS[1:, :, place], torch.tensor([[1, 0]]))
            expected = both.step(REPORTS[..., place], torch.tensor([[1, 0], [1, 0]]))
            torch.testing.assert_close(kept[0], expected[1], rtol=0, atol=1e-5)
