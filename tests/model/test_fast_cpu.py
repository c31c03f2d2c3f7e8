"""The fast layers compute what PyTorch's compute, and never get in their way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xpronet.model.attention import Attention, KeysValues
from xpronet.model.decoding import Decoding
from xpronet.model.fast_cpu import (
    FEW_QUERIES,
    FEW_ROWS,
    SOME_ROWS,
    FastAttention,
    FastDropout,
    FastLinear,
    PlainAttention,
    apply_linear,
    drop,
    fast_copy,
    speed_up,
)
from xpronet.model.report_model import Patches

REPORTS = torch.tensor([[1, 5, 6, 7], [1, 8, 3, 0]])
FINDINGS = torch.tensor([[True, False, True, False], [False, True, False, False]])


@pytest.fixture
def patches() -> Patches:
    features = torch.randn(2, 24, 16, generator=torch.Generator().manual_seed(5))
    return Patches(features, torch.tensor([[True] * 24, [True] * 12 + [False] * 12]))


def read(network, patches):
    with torch.inference_mode():
        return network.read(patches, REPORTS, FINDINGS)


def kinds(network) -> list[type]:
    return [type(module) for module in network.modules()]


def test_a_network_becomes_fast_in_place(make_network, patches):
    network, plain = make_network(), make_network()
    before = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    speed_up(network)
    assert {name: tensor.data_ptr() for name, tensor in network.state_dict().items()} == before
    assert not {nn.Linear, nn.Dropout, Attention} & set(kinds(network))
    assert kinds(network.backbone) == kinds(plain.backbone)
    for ours, theirs in zip(read(network, patches), read(plain, patches), strict=True):
        torch.testing.assert_close(ours, theirs)
    once = kinds(network)
    speed_up(network)
    assert kinds(network) == once


def test_a_fast_copy_shares_the_weights_and_leaves_the_network_alone(make_network, patches):
    network = make_network()
    before = kinds(network)
    fast = fast_copy(network)
    assert kinds(network) == before
    assert fast.backbone is network.backbone
    assert list(fast.state_dict()) == list(network.state_dict())
    for (name, ours), theirs in zip(fast.named_parameters(), network.parameters(), strict=True):
        assert ours is theirs, name
    network.calibrate(torch.full((2, 4), 0.5))
    assert fast.calibration is network.calibration
    for ours, theirs in zip(read(fast, patches), read(network, patches), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_step_with_joint_projections_is_that_of_the_network(make_network, patches):
    network = make_network()
    words = torch.tensor([[[1, 5, 6], [1, 5, 9], [1, 7, 2]], [[1, 8, 8], [1, 10, 3], [1, 4, 4]]])
    scores = []
    with torch.inference_mode():
        for each in (network, fast_copy(network)):
            decoding = Decoding(each, each.encode(patches, FINDINGS), num_beams=3, max_steps=3)
            scores.append(torch.stack([decoding.step(words[..., place]) for place in range(3)]))
    torch.testing.assert_close(*scores)


@pytest.fixture
def ways(monkeypatch):
    """Say which products are computed in another way than PyTorch's, with two threads."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    calls = []
    for name in ("addmm", "baddbmm"):
        known = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *each, name=name, known=known: calls.append(name) or known(*each))
    return calls


@pytest.fixture(scope="module", params=[1, 2, 3])
def threads(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: request.param)
        yield request.param


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 12), max_size=3),
    width_in=st.integers(1, 9),
    width_out=st.integers(1, 9),
)
def test_every_way_gives_the_same(threads, shape, width_in, width_out):
    ours = FastLinear(width_in, width_out)
    plain = nn.Linear(width_in, width_out)
    plain.load_state_dict(ours.state_dict())
    features = torch.randn(*shape, width_in)
    with torch.inference_mode():
        found = ours(features)
        assert found.shape == (*shape, width_out)
        torch.testing.assert_close(found, plain(features))
        torch.testing.assert_close(apply_linear(features, ours.weight, ours.bias), plain(features))


def test_rows_that_are_only_predicted_are_multiplied_by_their_number(ways):
    layer = FastLinear(4, 6)
    with torch.inference_mode():
        for rows in (1, FEW_ROWS, FEW_ROWS + 1, SOME_ROWS, SOME_ROWS + 1):
            layer(torch.randn(rows, 4))
        assert ways == ["addmm", "addmm", "baddbmm", "baddbmm"]
        # A vocabulary of odd length cannot be cut into two blocks.
        FastLinear(4, 5)(torch.randn(FEW_ROWS, 4))
        FastLinear(4, 5)(torch.randn(FEW_ROWS + 1, 4))
    assert ways == ["addmm", "addmm", "baddbmm", "baddbmm", "addmm"]


def test_all_other_products_are_left_to_pytorch(ways):
    layer = FastLinear(4, 6)
    features = torch.randn(2, 4)
    layer(features).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        apply_linear(features.double(), layer.weight.double(), layer.bias.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            layer(features)
        program = torch.export.export(layer, (features,), strict=False)
    assert not ways
    assert "linear" in str(program.graph)
    assert "addmm" not in str(program.graph)


def test_a_layer_without_bias_is_left_to_pytorch(ways):
    layer = nn.Linear(6, 4, bias=False)
    rows = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = layer(rows)
        layer.__class__ = FastLinear
        assert torch.equal(layer(rows), expected)
    assert not ways


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


def test_the_seed_decides_and_evaluation_drops_nothing():
    features, layer = torch.ones(2, 501), FastDropout(0.4)
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
    attention = FastAttention(width=8, heads=2, dropout=0.2)
    queries, sources = torch.randn(2, 3, 8), torch.randn(2, 5, 8)
    mask = torch.rand(2, 3, 5) < 0.6 if masked else None
    if mask is not None:
        mask[..., 0] = True
    with torch.no_grad():
        projected = attention.project(sources)
        expected = attention.eval().attend(queries, projected, mask).features
        attention.train()
        found = torch.stack([attention.attend(queries, projected, mask).features for _ in range(3000)])
    assert not found[0].equal(found[1])
    torch.testing.assert_close(found.mean(0), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", [PlainAttention, FastAttention])
def test_attention_of_a_query_that_may_look_nowhere_is_finite_in_training(kind):
    attention = kind(width=8, heads=2, dropout=0.5).train()
    sources = attention.project(torch.randn(1, 4, 8))
    nowhere = torch.zeros(1, 2, 4, dtype=torch.bool)
    assert attention.attend(torch.randn(1, 2, 8), sources, nowhere).features.isfinite().all()


@pytest.mark.parametrize("queries", [1, 3, FEW_QUERIES, FEW_QUERIES + 1])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("kind", [PlainAttention, FastAttention])
def test_any_number_of_queries_is_answered_as_by_pytorch(kind, queries, masked):
    random = torch.Generator().manual_seed(2)
    asked = torch.randn(2, 3, queries, 4, generator=random)
    sources = KeysValues(torch.randn(2, 3, 7, 4, generator=random), torch.randn(2, 3, 7, 4, generator=random))
    mask = torch.rand(2, queries, 7, generator=random) > 0.4
    mask[..., 2] = True
    where = mask if masked else None
    expected = Attention(width=12, heads=3, dropout=0.1).eval().mix(asked, sources, where)
    torch.testing.assert_close(kind(width=12, heads=3, dropout=0.1).eval().mix(asked, sources, where), expected)
