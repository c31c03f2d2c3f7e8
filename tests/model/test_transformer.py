import math

import pytest
import torch
from torch import nn

from xpronet.model.transformer import Decoder, Encoder, PublishedNorm, layer_norm, sinusoids


def test_published_norm_by_hand():
    norm = PublishedNorm(4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        norm.bias.copy_(torch.tensor([0.5, 0.0, 0.0, -0.5]))
    values = [1.0, 2.0, 3.0, 6.0]
    mean = 3.0
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 3)
    expected = [
        weight * (value - mean) / (deviation + 1e-6) + bias
        for value, weight, bias in zip(values, [1, 2, 3, 4], [0.5, 0, 0, -0.5], strict=True)
    ]
    torch.testing.assert_close(norm(torch.tensor(values)), torch.tensor(expected))


def test_published_norm_adds_epsilon_to_the_deviation():
    tiny = torch.tensor([0.0, 1e-6])
    # The deviation is 7.07e-7: beside an epsilon of 1e-6 only 0.414 of the unit is left.
    torch.testing.assert_close(PublishedNorm(2)(tiny)[1].item(), 5e-7 / (math.sqrt(5e-13) + 1e-6), rtol=1e-4, atol=0)
    assert PublishedNorm(3)(torch.full((2, 3), 7.0)).eq(0).all()


def test_settings_choose_the_norm(make_settings):
    assert isinstance(layer_norm(make_settings(norm="torch")), nn.LayerNorm)
    assert isinstance(layer_norm(make_settings(norm="published")), PublishedNorm)


@pytest.mark.parametrize("start", [0, 5])
def test_sinusoids(start):
    codes = sinusoids(torch.arange(start, start + 7), 6)
    for place in range(7):
        for pair in range(3):
            angle = (start + place) / 10000 ** (2 * pair / 6)
            assert codes[place, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert codes[place, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_encoder_knows_where_regions_are(make_settings):
    torch.manual_seed(0)
    encoder = Encoder(make_settings()).eval()
    regions, mask = torch.randn(1, 6, 16), torch.ones(1, 6, dtype=torch.bool)
    order = torch.tensor([1, 0, 2, 3, 4, 5])
    assert not torch.allclose(encoder(regions[:, order], mask), encoder(regions, mask)[:, order], atol=1e-3)


def test_decoder_sees_no_later_word_and_reports_its_attention(make_settings):
    torch.manual_seed(0)
    decoder = Decoder(make_settings()).eval()
    regions = decoder.project(torch.randn(2, 6, 16))
    region_mask = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    words, causal = torch.randn(2, 5, 16), torch.ones(5, 5, dtype=torch.bool).tril().expand(2, 5, 5)
    plain = decoder(words, causal, regions, region_mask)
    changed = words.clone()
    changed[:, 3:] = torch.randn(2, 2, 16)
    other = decoder(changed, causal, regions, region_mask)
    assert other.words[:, :3].equal(plain.words[:, :3])
    assert not torch.allclose(other.words[:, 3:], plain.words[:, 3:], atol=1e-3)
    assert plain.attention is None

    looked = decoder(words, causal, regions, region_mask, with_attention=True)
    torch.testing.assert_close(looked.words, plain.words)
    assert looked.attention.shape == (2, 2, 2, 5, 6)
    torch.testing.assert_close(looked.attention.sum(-1), torch.ones(2, 2, 2, 5))
    assert looked.attention[:, 1, ..., 3:].eq(0).all()


def test_reported_attention_is_what_moves_the_words(make_settings):
    """With one layer, one head and the values as given, the words are the attention times the values."""
    torch.manual_seed(0)
    decoder = Decoder(make_settings(layers=1, heads=1)).eval()
    layer = decoder.layers[0]
    with torch.no_grad():
        for linear in (layer.cross_attention.output, layer.cross_attention.value):
            linear.weight.copy_(torch.eye(16))
            linear.bias.zero_()
        layer.feed_forward.outer.weight.zero_()
        layer.feed_forward.outer.bias.zero_()
    sources, words = torch.randn(1, 6, 16), torch.randn(1, 4, 16)
    mask, causal = torch.ones(1, 6, dtype=torch.bool), torch.ones(1, 4, 4, dtype=torch.bool).tril()
    looked = decoder(words, causal, decoder.project(sources), mask, with_attention=True)
    before = words + layer.self_attention.attend_to_self(layer.self_norm(words), causal)
    torch.testing.assert_close(looked.words, decoder.norm(before + looked.attention[0, :, 0] @ sources))
