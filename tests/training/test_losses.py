import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from xpronet.errors import InputError
from xpronet.model.report_model import Outputs
from xpronet.training.distributed import DistributedContext
from xpronet.training.losses import (
    GlobalBatch,
    LossSettings,
    contrastive_loss,
    findings_loss_by_view,
    losses,
    mean_response,
    word_loss,
)


def contrast_by_loops(vectors: Tensor, labels: list[list[bool]], theta: float, margin: float, *, hinge=True) -> Tensor:
    """Equation 17 as a reader would write it down, pair by pair, on vectors of any length."""
    terms = []
    for vector, own in zip(vectors, labels, strict=True):
        for other_vector, other in zip(vectors, labels, strict=True):
            similarity = functional.cosine_similarity(vector, other_vector, dim=0)
            if any(a and b for a, b in zip(own, other, strict=True)):
                num_different = sum(a != b for a, b in zip(own, other, strict=True))
                num_labels = sum(own) + sum(other)
                cost = theta ** (-num_different / num_labels) - similarity
                terms.append(torch.clamp(cost, min=0) if hinge else cost)
            else:
                terms.append(torch.clamp(similarity - margin, min=0))
    return torch.stack(terms).sum() / len(vectors) ** 2


def gradient(loss: Tensor, vectors: Tensor) -> Tensor:
    return torch.autograd.grad(loss, vectors)[0]


@st.composite
def labelled_vectors(draw):
    """Some studies, some of them alike, with labels of any kind: one each, none at all, all, or anything."""
    num_studies, num_findings = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["any", "single", "none", "all"]))
    if kind == "single":
        picks = [draw(st.integers(0, num_findings - 1)) for _ in range(num_studies)]
        labels = [[column == pick for column in range(num_findings)] for pick in picks]
    elif kind == "any":
        labels = [[draw(st.booleans()) for _ in range(num_findings)] for _ in range(num_studies)]
    else:
        labels = [[kind == "all"] * num_findings for _ in range(num_studies)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    vectors = torch.randn(num_studies, 4, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        vectors[-1] = vectors[0]
    return vectors, labels


@settings(max_examples=150, deadline=None)
@given(labelled_vectors(), st.floats(1.0, 4.0), st.floats(-0.5, 0.9))
def test_contrastive_loss_is_the_double_loop_with_its_gradient(studies, theta, margin):
    vectors, labels = studies
    vectors.requires_grad_()
    ours = contrastive_loss(functional.normalize(vectors, dim=-1), torch.tensor(labels), theta=theta, margin=margin)
    plain = contrast_by_loops(vectors, labels, theta, margin)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-7)
    if away_from_kinks(vectors.detach(), labels, theta, margin):
        torch.testing.assert_close(gradient(ours, vectors), gradient(plain, vectors), rtol=0, atol=1e-6)


def away_from_kinks(vectors: Tensor, labels: list[list[bool]], theta: float, margin: float) -> bool:
    """Say whether no pair sits where a hinge bends and either gradient is right.

    A pair of one study, or of two alike, has no gradient: its similarity is 1 whatever the vector.
    """
    unit = functional.normalize(vectors, dim=-1)
    similarity = unit @ unit.T
    for row, own in enumerate(labels):
        for column, other in enumerate(labels):
            if vectors[row].equal(vectors[column]):
                continue
            num_different = sum(a != b for a, b in zip(own, other, strict=True))
            bend = (
                theta ** (-num_different / max(1, sum(own) + sum(other)))
                if any(a and b for a, b in zip(own, other, strict=True))
                else margin
            )
            if abs(float(similarity[row, column]) - bend) < 1e-5:
                return False
    return True


def three_studies() -> tuple[Tensor, list[list[bool]]]:
    """Return two alike studies that share one of their findings, and a third with another finding."""
    vectors = torch.tensor([[1.0, 0.1, 0.0], [1.0, 0.0, 0.3], [0.0, 1.0, 0.5]], requires_grad=True)
    return vectors, [[True, True, False], [True, False, False], [False, False, True]]


def test_theta_changes_the_gradient():
    vectors, labels = three_studies()

    def ours(theta: float) -> Tensor:
        unit = functional.normalize(vectors, dim=-1)
        return gradient(contrastive_loss(unit, torch.tensor(labels), theta=theta, margin=0.4), vectors)

    assert not torch.allclose(ours(1.0), ours(1.75), atol=1e-4)
    # With this tolerance the pair is already alike enough and nothing pulls on it any more.
    assert ours(1.75).abs().max() < 1e-6


def test_without_the_hinge_theta_would_change_nothing():
    """Equation 17 as printed: this is why the hinge is there, and what the test above would fail on."""
    vectors, labels = three_studies()

    def printed(theta: float) -> Tensor:
        return gradient(contrast_by_loops(vectors, labels, theta, 0.4, hinge=False), vectors)

    torch.testing.assert_close(printed(1.0), printed(1.75), rtol=0, atol=1e-7)
    assert printed(1.0).abs().max() > 1e-2


def test_contrastive_loss_by_hand():
    unit = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    labels = torch.tensor([[True, True], [True, False], [False, True]])
    # Pairs (0,1) share one of three labels: θ^(-1/3) - 0. Pairs (0,2) are alike: nothing. (1,2) share none: nothing.
    expected = 2 * 2.0 ** (-1 / 3) / 9
    assert contrastive_loss(unit, labels, theta=2.0, margin=0.4).item() == pytest.approx(expected, abs=1e-6)


def test_contrastive_loss_keeps_full_precision_under_autocast():
    unit = functional.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    labels = torch.eye(6, dtype=torch.bool) | (torch.arange(6) % 2 == 0)
    plain = contrastive_loss(unit, labels, theta=1.5, margin=0.4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contrastive_loss(unit, labels, theta=1.5, margin=0.4).equal(plain)


@st.composite
def scored_reports(draw):
    num_reports, length, num_words = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(2, 5))
    lengths = [draw(st.integers(1, length)) for _ in range(num_reports)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    logits = torch.randn(num_reports, length, num_words, generator=generator) * 3
    targets = torch.randint(num_words, (num_reports, length), generator=generator)
    return logits, targets, lengths


@settings(max_examples=60, deadline=None)
@given(scored_reports())
def test_word_loss_is_the_plain_loop(reports):
    logits, targets, lengths = reports
    mask = torch.arange(targets.shape[1]) < torch.tensor(lengths).unsqueeze(1)
    costs = [
        [-math.log(float(logits[row, place].double().softmax(0)[targets[row, place]])) for place in range(length)]
        for row, length in enumerate(lengths)
    ]
    per_token = sum(map(sum, costs)) / sum(lengths)
    per_report = sum(sum(row) / len(row) for row in costs) / len(costs)
    assert word_loss(logits, targets, mask).item() == pytest.approx(per_token, rel=1e-4, abs=1e-6)
    assert word_loss(logits, targets, mask, per="report").item() == pytest.approx(per_report, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("per", ["token", "report"])
def test_padding_has_no_part_in_the_word_loss(per):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, generator=generator)
    targets = torch.randint(5, (2, 4), generator=generator)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    loss = word_loss(logits, targets, mask, per=per)
    disturbed = torch.where(mask.unsqueeze(-1), logits, 100 * torch.randn(2, 4, 5, generator=generator))
    assert word_loss(disturbed, targets, mask, per=per).equal(loss)
    wider = functional.pad(logits, (0, 0, 0, 3))
    padded = word_loss(wider, functional.pad(targets, (0, 3)), functional.pad(mask, (0, 3)), per=per)
    torch.testing.assert_close(padded, loss)


def test_mean_response_is_a_unit_vector_over_the_mask():
    responses = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [99.0, 99.0]]])
    mean = mean_response(responses, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(mean, torch.tensor([[0.6, 0.8]]))


def test_mean_response_of_nothing_is_finite():
    assert mean_response(torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.bool)).isfinite().all()


def outputs(**changes) -> Outputs:
    generator = torch.Generator().manual_seed(3)
    values = {
        "logits": torch.randn(3, 4, 6, generator=generator),
        "image_responses": torch.randn(3, 5, 8, generator=generator),
        "text_responses": torch.randn(3, 4, 8, generator=generator),
        "region_mask": torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 5]),
        "finding_logits": torch.randn(3, 2, generator=generator),
    }
    return Outputs(**(values | changes))


TARGETS = torch.tensor([[1, 2, 3, 4], [5, 4, 0, 0], [3, 4, 0, 0]])
MASK = TARGETS > 0
LABELS = torch.tensor([[True, False], [True, True], [False, True]])


def test_each_view_by_itself_is_asked_for_the_findings():
    generator = torch.Generator().manual_seed(5)
    by_view = torch.randn(3, 2, 2, generator=generator)
    view_mask = torch.tensor([[True, True], [True, False], [False, True]])
    views = {"view_finding_logits": by_view, "view_mask": view_mask}
    costs = functional.binary_cross_entropy_with_logits(
        by_view, LABELS.float()[:, None].expand(3, 2, 2), reduction="none"
    )
    seen = costs.mean(2)
    expected = (seen[0].mean() + seen[1, 0] + seen[2, 1]) / 3
    without, with_views = (
        losses(outputs(**views), TARGETS, MASK, LABELS, LossSettings(findings_by_view=weight)) for weight in (0.0, 0.5)
    )
    assert without.findings_by_view is None
    assert "findings_by_view" not in without.by_name()
    torch.testing.assert_close(with_views.findings_by_view, expected)
    torch.testing.assert_close(with_views.total, without.total + expected / 2)
    # A batch of single views: each is the whole study.
    alone = losses(outputs(), TARGETS, MASK, LABELS, LossSettings(findings_by_view=0.5))
    assert alone.findings_by_view is alone.findings


def test_shares_of_a_batch_add_up_to_the_findings_seen_in_each_view():
    generator = torch.Generator().manual_seed(6)
    logits, findings = torch.randn(5, 2, 3, generator=generator), torch.rand(5, 3, generator=generator) < 0.4
    view_mask = torch.tensor([[True, True], [True, False], [True, True], [False, True], [True, False]])
    batch = GlobalBatch(studies=5, words=1, context=DistributedContext(device=torch.device("cpu")))
    shares = [
        findings_loss_by_view(logits[rows], view_mask[rows], findings[rows], batch=batch)
        for rows in (slice(0, 2), slice(2, 5), slice(5, 5))
    ]
    torch.testing.assert_close(sum(shares), findings_loss_by_view(logits, view_mask, findings))


def test_total_is_the_weighted_sum():
    constants = LossSettings(image_contrast=2.0, text_contrast=0.25, findings=3.0)
    terms = losses(outputs(), TARGETS, MASK, LABELS, constants)
    expected = terms.words + 2 * terms.image_contrast + 0.25 * terms.text_contrast + 3 * terms.findings
    torch.testing.assert_close(terms.total, expected)
    assert min(term.item() for term in terms.by_name().values()) > 0


def test_absent_views_have_no_part_in_the_image_term():
    plain = outputs()
    disturbed = plain.image_responses.clone()
    disturbed[1, 3:] = 50.0
    terms = losses(plain, TARGETS, MASK, LABELS, LossSettings())
    other = losses(plain._replace(image_responses=disturbed), TARGETS, MASK, LABELS, LossSettings())
    assert other.image_contrast.equal(terms.image_contrast)


def test_text_mean_over_words_or_over_all_positions():
    plain = outputs()
    disturbed = plain.text_responses.clone()
    disturbed[1:, 2:] *= -3.0
    for text_mean, same in (("words", True), ("positions", False)):
        constants = LossSettings(text_mean=text_mean)
        before = losses(plain, TARGETS, MASK, LABELS, constants).text_contrast
        after = losses(plain._replace(text_responses=disturbed), TARGETS, MASK, LABELS, constants).text_contrast
        assert before.equal(after) is same


def test_without_prototypes_and_head_only_words_are_left():
    bare = outputs(image_responses=None, text_responses=None, finding_logits=None)
    terms = losses(bare, TARGETS, MASK, LABELS, LossSettings())
    assert terms.total.equal(terms.words)
    assert [terms.image_contrast, terms.text_contrast, terms.findings] == [0, 0, 0]


@pytest.mark.parametrize(
    "wrong", [{"theta": 0.9}, {"image_contrast": -1.0}, {"text_contrast": -0.1}, {"findings": -1.0}]
)
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(InputError, match=f"loss.{next(iter(wrong))}"):
        LossSettings(**wrong)


def test_terms_of_an_outside_model_are_added_by_share_and_reported():
    outputs = Outputs(
        logits=torch.zeros(2, 3, 5),
        image_responses=None,
        text_responses=None,
        region_mask=torch.ones(2, 4, dtype=torch.bool),
        finding_logits=None,
    )
    targets, mask = torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool)
    rest = (targets, mask, torch.zeros(2, 14, dtype=torch.bool), LossSettings())
    without = losses(outputs, *rest)
    assert "extra" not in without.by_name()
    more = outputs._replace(extra_losses={"sparsity": torch.tensor(0.5), "length": torch.tensor(0.25)})
    alone = losses(more, *rest)
    assert alone.by_name()["extra"].item() == 0.75
    assert alone.total.item() == pytest.approx(without.total.item() + 0.75)
    batch = GlobalBatch(studies=8, words=24, context=DistributedContext(device=torch.device("cpu")))
    share = losses(more, *rest, batch)
    assert share.by_name()["extra"].item() == pytest.approx(0.75 * 2 / 8)
    assert share.total.item() == pytest.approx(math.log(5) * 6 / 24 + 0.75 * 2 / 8)
