import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from xpronet.model.attention import FEW_QUERIES, Attention, KeysValues, attend, join_heads, split_heads


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
    ours = attention.attend(queries, attention.project(sources), where)
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
    weights = attention.weights(queries, sources, where)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 4))
    if masked:
        assert weights[~mask.unsqueeze(1).expand_as(weights)].eq(0).all()
    torch.testing.assert_close(
        attention.output(join_heads(weights @ sources.values)), attention.attend(queries, sources, where)
    )


def test_dropout_only_in_training(attention):
    queries = torch.randn(1, 4, 12)
    sources = attention.project(queries)
    assert attention.attend(queries, sources).equal(attention.attend(queries, sources))
    attention.train()
    assert not attention.attend(queries, sources).equal(attention.attend(queries, sources))


@pytest.mark.parametrize("queries", [1, 3, FEW_QUERIES, FEW_QUERIES + 1])
@pytest.mark.parametrize("masked", [True, False])
def test_few_queries_are_answered_as_many_are(queries, masked):
    random = torch.Generator().manual_seed(2)
    asked = torch.randn(2, 3, queries, 4, generator=random)
    sources = KeysValues(torch.randn(2, 3, 7, 4, generator=random), torch.randn(2, 3, 7, 4, generator=random))
    mask = torch.rand(2, 1, queries, 7, generator=random) > 0.4
    mask[..., 2] = True
    where = mask if masked else None
    expected = functional.scaled_dot_product_attention(asked, *sources, attn_mask=where)
    torch.testing.assert_close(attend(asked, sources, where), expected)
