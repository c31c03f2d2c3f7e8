import pytest
import torch

from xpronet.model.attention import Attention
from xpronet.model.dropout import Dropout, drop


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_is_left_out_and_the_rest_scaled_up(dtype, share):
    torch.manual_seed(0)
    features = torch.ones(3, 7, 9999, dtype=dtype)
    dropped = drop(features, share)
    assert dropped.dtype == dtype
    assert dropped.eq(0).float().mean().item() == pytest.approx(share, abs=0.005)
    assert dropped[dropped != 0].unique().tolist() == pytest.approx([1 / (1 - share)], rel=0.005)


def test_decisions_are_independent_of_each_other():
    """Four neighbours share one random number: none may follow from another, nor the sign from the place."""
    torch.manual_seed(0)
    kept = drop(torch.ones(40_000, 4), 0.5).gt(0).float()
    assert kept.mean(0).sub(0.5).abs().max() < 0.01
    assert torch.corrcoef(kept.T).fill_diagonal_(0).abs().max() < 0.02


def test_gradients_pass_where_values_do():
    torch.manual_seed(0)
    features = torch.ones(1000, requires_grad=True)
    dropped = drop(features, 0.3)
    dropped.sum().backward()
    assert features.grad.equal(dropped.detach())


def test_the_seed_decides_and_use_drops_nothing():
    features, layer = torch.ones(2, 501), Dropout(0.4)
    outcomes = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outcomes.append(layer(features))
    assert outcomes[0].equal(outcomes[1])
    assert not outcomes[0].equal(outcomes[2])
    assert layer.eval()(features) is features
    assert drop(features, 0.0) is features


@pytest.mark.parametrize("masked", [True, False])
def test_attention_with_dropout_is_right_on_average(masked):
    torch.manual_seed(0)
    attention = Attention(width=8, heads=2, dropout=0.2)
    queries, sources = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    mask = torch.rand(2, 3, 5) < 0.6 if masked else None
    if mask is not None:
        mask[..., 0] = True
    with torch.no_grad():
        projected = attention.project(sources)
        expected = attention.eval().attend(queries, projected, mask)
        attention.train()
        found = torch.stack([attention.attend(queries, projected, mask) for _ in range(3000)])
    assert not found[0].equal(found[1])
    torch.testing.assert_close(found.mean(0), expected, rtol=0, atol=0.05)


def test_attention_of_a_query_that_may_look_nowhere_is_finite_in_training():
    attention = Attention(width=8, heads=2, dropout=0.5).train()
    sources = attention.project(torch.randn(1, 4, 8))
    assert attention.attend(torch.randn(1, 2, 8), sources, torch.zeros(1, 2, 4, dtype=torch.bool)).isfinite().all()
