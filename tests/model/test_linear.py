import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xpronet.model.linear import FEW_ROWS, SOME_ROWS, Linear, apply_linear


@pytest.fixture
def ways(monkeypatch):
    """Tell which products are computed in another way than PyTorch's, with two threads."""
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
    ours = Linear(width_in, width_out)
    plain = nn.Linear(width_in, width_out)
    plain.load_state_dict(ours.state_dict())
    features = torch.randn(*shape, width_in)
    with torch.inference_mode():
        found = ours(features)
        assert found.shape == (*shape, width_out)
        torch.testing.assert_close(found, plain(features))
        torch.testing.assert_close(apply_linear(features, ours.weight, ours.bias), plain(features))


def test_rows_that_are_only_predicted_are_multiplied_by_their_number(ways):
    layer = Linear(4, 6)
    with torch.inference_mode():
        for rows in (1, FEW_ROWS, FEW_ROWS + 1, SOME_ROWS, SOME_ROWS + 1):
            layer(torch.randn(rows, 4))
        assert ways == ["addmm", "addmm", "baddbmm", "baddbmm"]
        # A vocabulary of odd length is no two blocks.
        Linear(4, 5)(torch.randn(FEW_ROWS, 4))
        Linear(4, 5)(torch.randn(FEW_ROWS + 1, 4))
    assert ways == ["addmm", "addmm", "baddbmm", "baddbmm", "addmm"]


def test_all_else_is_left_to_pytorch(ways):
    layer = Linear(4, 6)
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
