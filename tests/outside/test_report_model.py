"""The outside report model word by word: the same as with teacher forcing, whatever the search does to its beams."""

import pytest
import torch
from xpronet_outside.encoder import PatchEncoder
from xpronet_outside.report_model import GruReportModel

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.model.report_model import NextWord, Patches
from xpronet.model.settings import ModelSettings

STUDIES, BEAMS, WORDS, VOCABULARY = 4, 3, 7, 20
FINDINGS = torch.zeros(STUDIES, 14, dtype=torch.bool)


@pytest.fixture(params=["uniform", "additive"])
def model(request: pytest.FixtureRequest) -> GruReportModel:
    torch.manual_seed(0)
    model = GruReportModel(
        backbone=PatchEncoder(ImageEncoderSettings(name="python:xpronet_outside.encoder:PatchEncoder", width=8)),
        settings=ModelSettings(width=16, layers=2, heads=2, visible="none", options={"attention": request.param}),
        num_words=VOCABULARY,
        padding=0,
        num_findings=14,
    )
    return model.eval()


@pytest.fixture
def patches(model: GruReportModel) -> Patches:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (STUDIES, 2, 64, 64), dtype=torch.uint8, generator=generator)
    views = torch.tensor([[True, True], [True, False], [True, True], [True, False]])
    with torch.inference_mode():
        return model.encode_images(images, views)


def test_word_by_word_equals_teacher_forcing_while_beams_move_and_studies_leave(model, patches):
    generator = torch.Generator().manual_seed(2)
    left = torch.arange(STUDIES)
    history = torch.zeros(STUDIES, BEAMS, 0, dtype=torch.long)
    leaving = {2: torch.tensor([0, 2, 3]), 4: torch.tensor([2])}
    with torch.inference_mode():
        decoding = model.start_decoding(model.encode(patches, FINDINGS), num_beams=BEAMS, max_words=WORDS)
        assert isinstance(decoding, NextWord)
        origin = None
        for place in range(WORDS):
            newest = torch.randint(1, VOCABULARY, (len(left), BEAMS), generator=generator)
            if origin is not None:
                history = history.gather(1, origin.unsqueeze(-1).expand_as(history))
            history = torch.cat([history, newest.unsqueeze(-1)], dim=-1)
            stepped = decoding.step(newest, origin)
            for beam in range(BEAMS):
                own = Patches(patches.features[left], patches.mask[left])
                whole = model.read(own, history[:, beam], FINDINGS[left]).logits.log_softmax(-1)
                torch.testing.assert_close(stepped[:, beam], whole[:, -1], rtol=0, atol=1e-5)
            # In the order of the search: it chooses where each beam comes from, then lets studies go.
            origin = torch.randint(0, BEAMS, (len(left), BEAMS), generator=generator)
            if place in leaving:
                kept = leaving[place]
                decoding.keep(kept)
                left, history, origin = left[kept], history[kept], origin[kept]
    assert left.tolist() == [3]


def test_rereading_gives_the_same_probabilities_and_attention_on_real_views(model, patches):
    words = torch.randint(1, VOCABULARY, (STUDIES, WORDS + 1), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        reading = model.reread(model.encode(patches, FINDINGS), words)
        logits = model.read(patches, words[:, :-1], FINDINGS).logits.log_softmax(-1)
    expected = logits.gather(-1, words[:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(reading.log_probabilities, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(reading.attention.sum(-1), torch.ones(STUDIES, WORDS))
    assert not reading.attention[1, :, 16:].any()
    equal = torch.allclose(reading.attention[0], torch.full((WORDS, 32), 1 / 32))
    assert equal == (model.settings.options["attention"] == "uniform")


def test_the_images_and_the_views_of_a_study_reach_its_words(model, patches):
    words = torch.ones(STUDIES, 2, dtype=torch.long)
    with torch.inference_mode():
        logits = model.read(patches, words, FINDINGS).logits
        filled = patches.features.masked_fill(~patches.mask.unsqueeze(-1), 5.0)
        torch.testing.assert_close(model.read(patches._replace(features=filled), words, FINDINGS).logits, logits)
    assert (logits[0] - logits[1]).abs().max() > 1e-4
