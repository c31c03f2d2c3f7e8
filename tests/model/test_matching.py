import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xpronet.model.matching import ProjectedBank, PrototypeMatching
from xpronet.model.settings import ModelSettings


def make(rows: int = 12, *, gamma: int = 4, seed: int = 0, **choices) -> PrototypeMatching:
    torch.manual_seed(seed)
    values = {"width": 8, "heads": 2, "bank_rows": rows, "bank_width": 6, "visible": "all", "gamma": gamma}
    matching = PrototypeMatching(ModelSettings(**{**values, **choices})).eval()
    torch.nn.init.normal_(matching.bank)
    return matching


def shares_by_loops(matching: PrototypeMatching, queries: Tensor, visible: Tensor, scale: float) -> Tensor:
    """Equations 8 to 11 head by head and query by query: a softmax over the γ visible prototypes most alike."""
    keys, projected = matching.key(matching.projected()), matching.query(queries)
    shares = torch.zeros(len(queries), 2, queries.shape[1], len(keys))
    for study, head, place in torch.cartesian_prod(*map(torch.arange, shares.shape[:3])).tolist():
        part = slice(4 * head, 4 * head + 4)
        scores = keys[:, part] @ projected[study, place, part] * scale
        seen = visible[study].nonzero().squeeze(1)
        if len(seen):
            best = seen[scores[seen].argsort(descending=True)[: matching.gamma]]
            shares[study, head, place, best] = scores[best].softmax(0)
    return shares


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 12),
    gamma=st.integers(1, 15),
    scale=st.sampled_from(["sqrt", "linear"]),
    hidden=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_shares_are_those_of_the_equations(rows, gamma, scale, hidden, seed):
    matching = make(rows, gamma=gamma, scale=scale, seed=seed)
    queries, visible = torch.randn(3, 5, 8), torch.rand(3, rows) >= hidden
    shares = matching.weights(queries, matching.project(), visible)
    expected = shares_by_loops(matching, queries, visible, {"sqrt": 4**-0.5, "linear": 1 / 4}[scale])
    torch.testing.assert_close(shares, expected, rtol=1e-4, atol=1e-6)


def test_exactly_gamma_are_kept_of_equals():
    matching = make(gamma=4)
    with torch.no_grad():
        matching.bank.copy_(matching.bank[:1].expand(12, 6))
    shares = matching.weights(torch.randn(2, 3, 8), matching.project(), torch.ones(2, 12, dtype=torch.bool))
    assert (shares > 0).sum(-1).eq(4).all()
    torch.testing.assert_close(shares[shares > 0], torch.full((2 * 2 * 3 * 4,), 0.25))


def test_hidden_prototypes_have_no_share_and_the_rest_share_all():
    matching = make(gamma=10)
    visible = torch.zeros(1, 12, dtype=torch.bool)
    visible[0, [2, 5, 7]] = True
    shares = matching.weights(torch.randn(1, 3, 8), matching.project(), visible)
    assert shares[..., ~visible[0]].eq(0).all()
    assert shares[..., visible[0]].gt(0).all()
    torch.testing.assert_close(shares.sum(-1), torch.ones(1, 2, 3))


def test_a_study_that_sees_none_gets_no_share_and_no_nan():
    matching = make()
    queries = torch.randn(2, 3, 8, requires_grad=True)
    visible = torch.zeros(2, 12, dtype=torch.bool)
    visible[1] = True
    shares = matching.weights(queries, matching.project(), visible)
    assert shares[0].eq(0).all()
    torch.testing.assert_close(shares[1].sum(-1), torch.ones(2, 3))
    response = matching(queries, matching.project(), visible)
    torch.testing.assert_close(response[0], matching.output.bias.expand(3, 8))
    response.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in matching.parameters())
    assert queries.grad.isfinite().all()


def test_response_is_the_weighted_sum_of_values():
    matching = make()
    queries, visible = torch.randn(2, 3, 8), torch.ones(2, 12, dtype=torch.bool)
    shares = matching.weights(queries, matching.project(), visible)
    values = matching.value(matching.projected())
    mixed = torch.cat([shares[:, head] @ values[:, 4 * head : 4 * head + 4] for head in range(2)], dim=-1)
    torch.testing.assert_close(matching(queries, matching.project(), visible), matching.output(mixed))


def test_the_bank_learns_only_through_what_responds():
    matching = make(gamma=2)
    visible = torch.zeros(1, 12, dtype=torch.bool)
    visible[0, :6] = True
    matching(torch.randn(1, 1, 8), matching.project(), visible).square().sum().backward()
    moved = matching.bank.grad.abs().sum(1) > 0
    assert 0 < moved.sum() <= 4
    assert not moved[6:].any()


def test_bank_of_the_networks_width_needs_no_projection():
    matching = make(bank_width=8, project_bank=False)
    assert matching.projected() is matching.bank
    assert not any(name.startswith("projection") for name, _ in matching.named_parameters())


def test_autocast_does_not_round_the_scores():
    """Rounded to bfloat16, most of these scores would be equal and the choice among them arbitrary."""
    matching = make(200, gamma=4)
    with torch.no_grad():
        matching.bank.copy_(matching.bank[:1] + 1e-2 * torch.randn(200, 6))
    queries, visible = torch.randn(1, 5, 8).bfloat16(), torch.ones(1, 200, dtype=torch.bool)
    rounded = ProjectedBank(*(tensor.bfloat16() for tensor in matching.project()))
    bank = ProjectedBank(*(tensor.float() for tensor in rounded))
    matching.query.forward = lambda features: features
    exact = matching.weights(queries.float(), bank, visible)
    assert matching.weights(queries, rounded, visible).equal(exact)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert matching.weights(queries, rounded, visible).equal(exact)
        assert matching.weights(queries.float(), bank, visible).equal(exact)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_on_the_shares_only_in_training(training):
    matching = make(gamma=12).train(training)
    queries, bank, visible = torch.randn(1, 40, 8), matching.project(), torch.ones(1, 12, dtype=torch.bool)
    assert matching(queries, bank, visible).equal(matching(queries, bank, visible)) is not training
