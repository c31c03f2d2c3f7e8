import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xpronet.model.attention import (
    Attention,
    KeysValues,
    attention_weights,
    hidden_score,
    join_heads,
    mask_scores,
    split_heads,
)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_heads_are_consecutive_slices_and_join_again(heads, length, width):
    features = torch.arange(2.0 * length * heads * width).view(2, length, heads * width)
    split = split_heads(features, heads)
    for head in range(heads):
        assert split[:, head].equal(features[..., head * width : (head + 1) * width])
    assert join_heads(split).equal(features)


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(width=12, heads=3, dropout=0.3).eval()


@pytest.fixture
def mask() -> torch.Tensor:
    mask = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(1)) > 0.4
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("masked", [True, False])
def test_attend_is_the_plain_formula(attention, mask, masked):
    queries, sources = torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    where = mask if masked else None
    ours = attention.attend(queries, attention.project(sources), where).features
    for study in range(2):
        for place in range(4):
            mixed = []
            for head in range(3):
                part = slice(4 * head, 4 * head + 4)
                query = attention.query(queries[study, place])[part]
                seen = [number for number in range(5) if not masked or mask[study, place, number]]
                keys, values = attention.key(sources[study])[seen, part], attention.value(sources[study])[seen, part]
                mixed.append((keys @ query / math.sqrt(4)).softmax(0) @ values)
            torch.testing.assert_close(ours[study, place], attention.output(torch.cat(mixed)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
def test_weights_are_those_that_attend_uses(attention, mask, masked):
    queries, sources = torch.randn(2, 4, 12), attention.project(torch.randn(2, 5, 12))
    where = mask if masked else None
    features, weights = attention.attend(queries, sources, where, with_weights=True)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 4))
    if masked:
        assert weights[~mask.unsqueeze(1).expand_as(weights)].eq(0).all()
    assert features.equal(attention.output(join_heads(weights @ sources.values)))
    plain = attention.attend(queries, sources, where)
    torch.testing.assert_close(plain.features, features)
    assert plain.weights is None


@pytest.mark.parametrize("with_weights", [True, False])
def test_dropout_only_in_training(attention, with_weights):
    queries = torch.randn(1, 4, 12)
    sources = attention.project(queries)

    def attend() -> torch.Tensor:
        return attention.attend(queries, sources, with_weights=with_weights).features

    assert attend().equal(attend())
    attention.train()
    assert not attend().equal(attend())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_mask_leaves_hidden_sources_no_weight_and_no_gradient(dtype):
    scores = torch.randn(2, 3, 4, 5, dtype=dtype, requires_grad=True)
    visible = torch.tensor([True, False, True, True, False])
    masked = mask_scores(scores * 1, visible)
    assert masked.dtype == dtype
    assert masked.isfinite().all()
    assert masked[..., visible].equal(scores[..., visible])
    weights = masked.softmax(-1)
    assert weights[..., ~visible].eq(0).all()
    weights.square().sum().backward()
    assert scores.grad[..., ~visible].eq(0).all()
    assert not scores.grad[..., visible].eq(0).all()


def test_a_query_without_any_source_weighs_all_alike():
    scores = mask_scores(torch.randn(3, 5), torch.zeros(3, 5, dtype=torch.bool))
    assert scores.lt(hidden_score(scores.dtype) / 2).all()
    torch.testing.assert_close(scores.softmax(-1), torch.full((3, 5), 0.2))


class Growing:
    """The plainest cache: everything is concatenated."""

    def __init__(self) -> None:
        self.words: KeysValues | None = None

    def extend(self, newest: KeysValues) -> KeysValues:
        pairs = [newest] if self.words is None else [self.words, newest]
        self.words = KeysValues(*(torch.cat(parts, dim=2) for parts in zip(*pairs, strict=True)))
        return self.words


def test_a_cache_continues_where_it_stopped(attention):
    words, causal = torch.randn(2, 6, 12), torch.ones(1, 6, 6, dtype=torch.bool).tril()
    whole = attention.attend_to_self(words, causal)
    cache = Growing()
    parts = [
        attention.attend_to_self(words[:, start:stop], causal[:, start:stop, :stop], cache)
        for start, stop in ((0, 1), (1, 4), (4, 6))
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


def test_keys_may_come_in_parts(attention, mask):
    query, keys = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 5, 4)
    whole = attention_weights(query, keys, mask=mask)
    torch.testing.assert_close(attention_weights(query, keys[:, :, :2], keys[:, :, 2:], mask=mask), whole)
