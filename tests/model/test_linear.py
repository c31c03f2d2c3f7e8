import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xpronet.model.linear import FEW_ROWS, Linear, apply_linear


@pytest.fixture
def products(monkeypatch):
    """Count the products with the weights on the left."""
    calls = []
    addmm = torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *tensors: calls.append(tensors) or addmm(*tensors))
    return calls


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=0, max_size=3),
    width_in=st.integers(1, 9),
    width_out=st.integers(1, 9),
)
def test_either_side_gives_the_same(shape, width_in, width_out):
    ours = Linear(width_in, width_out)
    plain = nn.Linear(width_in, width_out)
    plain.load_state_dict(ours.state_dict())
    features = torch.randn(*shape, width_in)
    with torch.inference_mode():
        found = ours(features)
        assert found.shape == (*shape, width_out)
        torch.testing.assert_close(found, plain(features))
        torch.testing.assert_close(apply_linear(features, ours.weight, ours.bias), plain(features))


def test_few_rows_that_are_only_predicted_are_multiplied_from_the_left(products):
    layer = Linear(4, 3)
    with torch.inference_mode():
        layer(torch.randn(2, FEW_ROWS // 2, 4))
        assert len(products) == 1
        layer(torch.randn(FEW_ROWS + 1, 4))
    assert len(products) == 1


def test_all_else_is_left_to_pytorch(products):
    layer = Linear(4, 3)
    features = torch.randn(2, 4)
    layer(features).sum().backward()
    assert layer.weight.grad is not None
    with torch.no_grad():
        apply_linear(features.double(), layer.weight.double(), layer.bias.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            layer(features)
        program = torch.export.export(layer, (features,), strict=False)
    assert not products
    assert "linear" in str(program.graph)
    assert "addmm" not in str(program.graph)
