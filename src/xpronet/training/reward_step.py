"""The objective of the second stage: sample reports, reward them, and make the better ones likelier.

Shape legend: B studies, N samples of each, T words written, V words of the vocabulary, K findings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn

from xpronet.data.dataset import Batch
from xpronet.errors import InputError
from xpronet.labels.findings import NO_FINDING
from xpronet.model.report_model import Patches, ReportModel
from xpronet.model.visibility import present_findings
from xpronet.text.vocabulary import Vocabulary
from xpronet.training.losses import GlobalBatch, LossSettings, losses
from xpronet.training.reward import PARTS, TOTAL, Reward
from xpronet.training.sampling import Policy, Samples, sample_reports


class RewardTerms(NamedTuple):
    """The terms of one batch and the total that is minimised; of a process's share of a batch, its contribution."""

    terms: dict[str, Tensor]
    """By the names of the journal: mean reward and its parts, `policy`, and the terms of the anchor."""
    total: Float[Tensor, ""]
    """`policy` + anchor_weight · anchor."""

    def by_name(self) -> dict[str, Tensor]:
        """Return all terms."""
        return {**self.terms, "total": self.total}


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """What sampling needs to know of a model's texts and findings."""

    vocabulary: Vocabulary
    """Its words."""
    findings: tuple[str, ...]
    """Names of its findings."""
    max_words: int
    """Words of a sample at most, EOS included."""


class RewardObjective(nn.Module):
    """A report model with what its second stage minimises; `forward` takes a batch and returns the terms.

    For samples r of the model p about a study, with baseline b, the gradient of `policy` is that of the negative
    expected reward, divided by the mean number of words of a reference in the batch:

        −(1/N) Σ_r (R(r) − b) · ∇ log p(r),   log p(r) = Σ_t log p(r_t | r_<t, images)

    Dropout is off and batch statistics stay as they are: so the samples are drawn from the very distribution whose
    log-probabilities are differentiated, and the gradient has no bias. The reward sees texts only.
    """

    def __init__(
        self,
        network: ReportModel,
        reward: Reward,
        *,
        text: TextSettings,
        loss_settings: LossSettings,
        freeze_encoder: bool,
        first_stage: ReportModel | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            network: the model to train; the caller's own, not a copy.
            reward: with the references of the train studies.
            text: vocabulary, findings and length.
            loss_settings: of the first stage's loss, where that is the anchor.
            freeze_encoder: whether the image encoder stays as it is; then the findings head does, too.
            first_stage: a copy of the model as it was, where the anchor is "kl".

        Raises:
            InputError: an encoder that is trained would leave its findings head behind.
        """
        super().__init__()
        assert (first_stage is not None) == (reward.settings.anchor == "kl")
        if not freeze_encoder and reward.settings.anchor != "cross-entropy":
            raise InputError(
                f"reward.anchor = {reward.settings.anchor!r}: nothing would teach the findings head while its image "
                "encoder changes; set train.freeze_backbone = true, or reward.anchor = 'cross-entropy'"
            )
        if freeze_encoder:
            network.backbone.requires_grad_(False)
            if network.findings_head is not None:
                network.findings_head.requires_grad_(False)
        self._freeze_encoder = freeze_encoder
        # Not an argument of `forward`, because DistributedDataParallel copies those.
        self.global_batch: GlobalBatch | None = None
        """The batch of all processes that the next one is a share of; None in a single process."""
        self.network = network
        self._reward = reward
        self._text = text
        self._loss_settings = loss_settings
        vocabulary = text.vocabulary
        settings = reward.settings
        self.policy = Policy(
            temperature=settings.temperature, top_k=settings.top_k, forbidden=never_written(vocabulary)
        )
        self._first_stage = first_stage
        if first_stage is not None:
            first_stage.requires_grad_(False)
        self._thresholds: Float[Tensor, " K"] | None = None
        self.train(False)

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Set the probabilities from which on each finding counts as present; validation moves them."""
        self._thresholds = torch.tensor([thresholds[name] for name in self._text.findings])

    def train(self, mode: bool = True) -> "RewardObjective":
        """Stay in evaluation mode: see the class."""
        super().train(False)
        return self

    def forward(self, batch: Batch, seed: int) -> RewardTerms:
        """Return the terms of a batch.

        Args:
            batch: studies of the train split.
            seed: of the samples.
        """
        global_batch = self.global_batch
        settings = self._reward.settings
        patches = self._patches(batch)
        findings = self._findings(patches, batch)
        samples = self._sample(patches, findings, seed)
        parts, rewards = self._score(samples, batch.ids)
        advantages = self._advantages(rewards).to(batch.words.device)
        trained = Samples(*(part[:, : settings.samples] for part in samples))
        log_probabilities = self._read(patches, trained, findings)
        own = log_probabilities.gather(-1, trained.words[:, :, 1:, None]).squeeze(-1)
        chances = own.masked_fill(~trained.mask, 0.0).sum(-1)
        num_words = int(batch.word_mask[:, 1:].sum()) if global_batch is None else global_batch.words
        num_studies = len(batch.ids) if global_batch is None else global_batch.studies
        policy = -(advantages * chances).sum() / (settings.samples * num_words)
        means = parts.sum(0) / num_studies
        terms = dict(zip((TOTAL, *PARTS), means.to(policy.device, policy.dtype), strict=True)) | {"policy": policy}
        anchor, anchored = self._anchor(patches, batch, trained, log_probabilities, findings, global_batch)
        return RewardTerms(terms | anchored, policy + settings.anchor_weight * anchor)

    def _patches(self, batch: Batch) -> Patches:
        """Return the image encoder's features; without gradient where it is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._freeze_encoder):
            return self.network.encode_images(batch.images, batch.view_mask)

    def _findings(self, patches: Patches, batch: Batch) -> Bool[Tensor, "B K"]:
        """Return the findings that the samples are told, as the settings say."""
        if self._reward.settings.labels == "reference" or self.network.findings_head is None:
            return batch.findings
        assert self._thresholds is not None, "thresholds are set before the first step"
        with torch.no_grad():
            probabilities = self.network.predict_findings(patches)
        thresholds = self._thresholds.to(probabilities.device)
        return present_findings(probabilities, thresholds, self._text.findings.index(NO_FINDING))

    @torch.no_grad()
    def _sample(self, patches: Patches, findings: Bool[Tensor, "B K"], seed: int) -> Samples:
        """Sample N reports of each study; behind them comes the greedy one, where that is the baseline."""
        settings, vocabulary = self._reward.settings, self._text.vocabulary
        greedy = settings.baseline == "greedy"
        beams = settings.samples + greedy
        encoded = self.network.encode(patches, findings, self.network.prepare_decoding())
        return sample_reports(
            self.network.start_decoding(encoded, num_beams=beams, max_words=self._text.max_words),
            num_studies=len(findings),
            num_samples=beams,
            begin=vocabulary.bos,
            end=vocabulary.eos,
            padding=vocabulary.padding,
            max_words=self._text.max_words,
            policy=self.policy,
            generator=torch.Generator().manual_seed(seed),
            greedy=greedy,
            device=findings.device,
        )

    def _score(
        self, samples: Samples, ids: Sequence[str]
    ) -> tuple[Float64[Tensor, "B parts"], Float64[Tensor, "B samples"]]:
        """Return the mean reward and parts of each study's samples, and the reward of each, the greedy one's too."""
        each = self._reward.settings.samples
        written = samples.words[:, :, 1:].tolist()
        lengths = samples.mask.sum(-1).tolist()
        rows: list[list[list[float]]] = []
        for study, reports, counts in zip(ids, written, lengths, strict=True):
            rows.append([])
            for report, count in zip(reports, counts, strict=True):
                report = report[:count]
                ended = bool(report) and report[-1] == self._text.vocabulary.eos
                parts = self._reward.parts(study, self._text.vocabulary.text(report), ended=ended)
                rows[-1].append([self._reward.total(parts), *parts])
        # A process's share of a batch may be empty.
        values = torch.tensor(rows, dtype=torch.float64).reshape(len(ids), samples.words.shape[1], 1 + len(PARTS))
        return values[:, :each].mean(1), values[:, :, 0]

    def _advantages(self, rewards: Float64[Tensor, "B samples"]) -> Float[Tensor, "B N"]:
        """Return by how much each sample's reward exceeds the baseline, which does not depend on the sample."""
        if self._reward.settings.baseline == "greedy":
            return (rewards[:, :-1] - rewards[:, -1:]).float()
        each = rewards.shape[1]
        return ((rewards - rewards.mean(1, keepdim=True)) * (each / (each - 1))).float()

    def _read(
        self, patches: Patches, samples: Samples, findings: Bool[Tensor, "B K"], network: ReportModel | None = None
    ) -> Float[Tensor, "B N T V"]:
        """Return the policy's log-probabilities of every word along the samples, all words at once."""
        words = samples.words
        logits = (network or self.network).read_samples(patches, words[:, :, :-1], findings)
        return self.policy.log_probabilities(logits, words[:, :, 1:])

    def _anchor(
        self,
        patches: Patches,
        batch: Batch,
        samples: Samples,
        log_probabilities: Float[Tensor, "B N T V"],
        findings: Bool[Tensor, "B K"],
        global_batch: GlobalBatch | None,
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the anchor and the terms that it consists of."""
        settings = self._reward.settings
        if settings.anchor == "none":
            return log_probabilities.new_zeros(()), {}
        if settings.anchor == "cross-entropy":
            outputs = self.network.read(patches, batch.words[:, :-1], batch.findings)
            first = losses(
                outputs, batch.words[:, 1:], batch.word_mask[:, 1:], batch.findings, self._loss_settings, global_batch
            )
            return first.total, {name: term for name, term in first.by_name().items() if name != "total"}
        assert self._first_stage is not None
        with torch.no_grad():
            # The encoder is frozen, so that the first stage's features are the same.
            before = self._read(patches, samples, findings, self._first_stage)
        divergence = next_word_divergence(log_probabilities, before)
        written = samples.mask.sum()
        if global_batch is not None:
            written = written.new_tensor(global_batch.context.sum([float(written)])[0])
        divergence = divergence.masked_fill(~samples.mask, 0.0).sum() / written
        return divergence, {"kl": divergence}


def next_word_divergence(
    log_probabilities: Float[Tensor, "*batch V"], others: Float[Tensor, "*batch V"]
) -> Float[Tensor, "*batch"]:
    """Return KL(p || q) of distributions of the next word, over the words that both give a probability."""
    both = log_probabilities.isfinite() & others.isfinite()
    ratio = log_probabilities.masked_fill(~both, 0.0) - others.masked_fill(~both, 0.0)
    return (log_probabilities.exp() * ratio).sum(-1)


def never_written(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids that no report is made of: marks, and the unknown word, except under published ids."""
    if vocabulary.settings.ids == "published":
        return ()
    return tuple(sorted({vocabulary.padding, vocabulary.bos, vocabulary.unknown}))
