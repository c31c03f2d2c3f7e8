"""Word cross-entropy, the improved multi-label contrastive loss, and the findings head's loss (paper, section 3.4)."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from xpronet.errors import InputError
from xpronet.model.report_model import Outputs
from xpronet.precision import full_precision
from xpronet.training.distributed import DistributedContext


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Weights and constants of the loss terms."""

    image_contrast: float = 1.0
    """λ: weight of the contrastive term on image responses (eq. 20)."""
    text_contrast: float = 0.1
    """δ: weight of the contrastive term on text responses (eq. 20)."""
    theta: float = 1.5
    """θ: tolerance for differing labels (eq. 17); 1 is the ordinary contrastive loss. IU X-Ray 1.5, MIMIC-CXR 1.75."""
    margin: float = 0.4
    """α: similarity up to which studies without a common finding cost nothing (eq. 17)."""
    text_mean: Literal["words", "positions"] = "words"
    """Average text responses over real words, or over all positions with padding as published."""
    words_per: Literal["token", "report"] = "token"
    """Average the cross-entropy over the batch's tokens (published), or within each report first (eq. 19)."""
    findings: float = 1.0
    """Weight of the findings head's binary cross-entropy."""
    findings_by_view: float = 0.0
    """Weight of the same on each view by itself, averaged over a study's views, beside all of them together: a study
    with fewer views than those of the training then costs less. For training on studies of several views."""

    def __post_init__(self) -> None:
        if self.theta < 1:
            raise InputError(f"loss.theta = {self.theta}: must be at least 1")
        for name in ("image_contrast", "text_contrast", "findings", "findings_by_view"):
            if getattr(self, name) < 0:
                raise InputError(f"loss.{name} = {getattr(self, name)}: must not be negative")


@dataclass(frozen=True, kw_only=True)
class GlobalBatch:
    """The batch of all processes, of which this one has a share: what the means over it need."""

    studies: int
    """Studies of all processes."""
    words: int
    """Target words of all processes."""
    context: DistributedContext
    """The processes."""


class Losses(NamedTuple):
    """The terms of one batch, unweighted, and the weighted total that is minimised.

    For a process's share of a batch: its contribution. The sum over all processes is the batch's.
    """

    words: Float[Tensor, ""]
    image_contrast: Float[Tensor, ""]
    text_contrast: Float[Tensor, ""]
    findings: Float[Tensor, ""]
    total: Float[Tensor, ""]
    findings_by_view: Float[Tensor, ""] | None = None
    """None where it has no weight."""
    extra: Float[Tensor, ""] | None = None
    """Sum of the terms that an outside report model adds, weighted already; None of a model that adds none."""

    def by_name(self) -> dict[str, Tensor]:
        """Return the terms that the model has."""
        return {name: term for name, term in self._asdict().items() if term is not None}


def losses(
    outputs: Outputs,
    targets: Int[Tensor, "B T"],
    target_mask: Bool[Tensor, "B T"],
    findings: Bool[Tensor, "B K"],
    settings: LossSettings,
    batch: GlobalBatch | None = None,
) -> Losses:
    """Return all terms of the objective (eq. 20, and our findings head).

    Args:
        outputs: of the network, from report ids without the last.
        targets: report ids without the first.
        target_mask: true on words and EOS, false on padding.
        findings: the studies' labels.
        settings: weights and constants.
        batch: the batch of all processes that these studies are a share of; by default they are all of it.
    """
    words = word_loss(outputs.logits, targets, target_mask, per=settings.words_per, batch=batch)
    zero = words.new_zeros(())
    image = text = head = zero
    if outputs.image_responses is not None and outputs.text_responses is not None:
        text_mask = target_mask if settings.text_mean == "words" else torch.ones_like(target_mask)
        image = _contrast(mean_response(outputs.image_responses, outputs.region_mask), findings, settings, batch)
        text = _contrast(mean_response(outputs.text_responses, text_mask), findings, settings, batch)
    if outputs.finding_logits is not None:
        head = findings_loss(outputs.finding_logits, findings, batch=batch)
    total = words + settings.image_contrast * image + settings.text_contrast * text + settings.findings * head
    by_view = None
    if settings.findings_by_view and outputs.finding_logits is not None:
        by_view = head
        if outputs.view_finding_logits is not None and outputs.view_mask is not None:
            by_view = findings_loss_by_view(outputs.view_finding_logits, outputs.view_mask, findings, batch=batch)
        total = total + settings.findings_by_view * by_view
    extra = None
    if outputs.extra_losses:
        # Each process has computed means over its own studies: they count by its share of them.
        share = 1.0 if batch is None else len(targets) / batch.studies
        extra = sum(outputs.extra_losses.values(), zero) * share if share else zero
        total = total + extra
    return Losses(words, image, text, head, total, by_view, extra)


def word_loss(
    logits: Float[Tensor, "B T words"],
    targets: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    per: Literal["token", "report"] = "token",
    batch: GlobalBatch | None = None,
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood of the target words (eq. 19)."""
    costs = functional.cross_entropy(full_precision(logits).flatten(0, 1), targets.flatten(), reduction="none")
    costs = costs.view_as(targets) * mask
    if per == "token":
        return costs.sum() / (mask.sum() if batch is None else batch.words)
    return (costs.sum(1) / mask.sum(1)).sum() / (len(costs) if batch is None else batch.studies)


def findings_loss(
    logits: Float[Tensor, "B K"], findings: Bool[Tensor, "B K"], *, batch: GlobalBatch | None = None
) -> Float[Tensor, ""]:
    """Return the findings head's mean binary cross-entropy."""
    logits = full_precision(logits)
    costs = functional.binary_cross_entropy_with_logits(logits, findings.to(logits.dtype), reduction="sum")
    studies, names = findings.shape
    return costs / ((studies if batch is None else batch.studies) * names)


def findings_loss_by_view(
    logits: Float[Tensor, "B V K"],
    view_mask: Bool[Tensor, "B V"],
    findings: Bool[Tensor, "B K"],
    *,
    batch: GlobalBatch | None = None,
) -> Float[Tensor, ""]:
    """Return the mean binary cross-entropy of the findings seen in each view by itself; all studies count alike."""
    logits = full_precision(logits)
    wanted = findings.to(logits.dtype).unsqueeze(1).expand_as(logits)
    costs = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(2) * view_mask
    studies, names = findings.shape
    return (costs.sum(1) / view_mask.sum(1)).sum() / ((studies if batch is None else batch.studies) * names)


def mean_response(responses: Float[Tensor, "B L width"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B width"]:
    """Return σ of eq. 17: the mean response over the masked positions, at unit length."""
    kept = mask.unsqueeze(-1)
    mean = (full_precision(responses) * kept).sum(1) / kept.sum(1).clamp(min=1)
    return functional.normalize(mean, dim=-1)


def contrastive_loss(
    responses: Float[Tensor, "B width"],
    findings: Bool[Tensor, "B K"],
    *,
    theta: float,
    margin: float,
    others: tuple[Float[Tensor, "C width"], Bool[Tensor, "C K"]] | None = None,
) -> Float[Tensor, ""]:
    """Return the improved multi-label contrastive loss (eq. 17, 18) over all pairs of the batch.

    The hinge on the positive term is missing in the printed equation; without it θ would be a constant and have no
    gradient.

    Args:
        responses: one unit vector a study.
        findings: its labels; studies that share one are positive pairs.
        theta: at least 1.
        margin: α.
        others: responses and findings of the batch of all processes, where `responses` are one process's share of
            them: the pairs of its studies with all studies then count, each as its share of all pairs of the batch.
    """
    responses_all, findings_all = (responses, findings) if others is None else others
    labels, labels_all = findings.float(), findings_all.float()
    shared = labels @ labels_all.T
    total = labels_all.sum(1).unsqueeze(0) + labels.sum(1).unsqueeze(1)
    # A label of one study only counts once in the difference; a shared one would count twice in the total.
    different = total - 2 * shared
    # Full precision, under autocast too: the hinges compare similarities near 1.
    with torch.autocast(responses.device.type, enabled=False):
        similarity = responses @ responses_all.T
    # The total is never 0 where a label is shared; the clamp only keeps pairs without labels finite.
    wanted = theta ** (-different / total.clamp(min=1))
    positive = (wanted - similarity).clamp(min=0)
    negative = (similarity - margin).clamp(min=0)
    return torch.where(shared > 0, positive, negative).sum() / len(responses_all) ** 2


def _contrast(
    responses: Float[Tensor, "B width"],
    findings: Bool[Tensor, "B K"],
    settings: LossSettings,
    batch: GlobalBatch | None,
) -> Float[Tensor, ""]:
    """Return the contrastive term, or the contribution of a process's share of the batch to it."""
    theta, margin = settings.theta, settings.margin
    if batch is None:
        return contrastive_loss(responses, findings, theta=theta, margin=margin)
    labels = torch.cat(batch.context.gather(findings.byte())).bool()
    others = (batch.context.gather_with_gradient(responses), labels)
    return contrastive_loss(responses, findings, theta=theta, margin=margin, others=others)
