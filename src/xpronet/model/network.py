"""XProNet: a transformer from patches to words, both enriched by prototypes (paper, figure 3).

Shape legend: B studies, V views, R regions of a view, S = V·R regions of a study, T words, K findings, P prototypes.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from xpronet.encoders.resnet import ResNet, to_rgb
from xpronet.errors import InputError
from xpronet.model.attention import KeysValues
from xpronet.model.matching import ProjectedBank, PrototypeMatching
from xpronet.model.precision import full_precision
from xpronet.model.settings import ModelSettings
from xpronet.model.transformer import Decoder, Encoder, sinusoids


class Patches(NamedTuple):
    """Backbone features of each study."""

    features: Float[Tensor, "B S channels"]
    mask: Bool[Tensor, "B S"]
    """True on the regions of real views."""


class Encoded(NamedTuple):
    """Everything the decoder needs to know about a batch of studies, computed once for all words and beams."""

    regions: list[KeysValues]
    """Keys and values of the encoded regions for each decoder layer."""
    region_mask: Bool[Tensor, "B S"]
    bank: ProjectedBank | None
    """None without prototypes."""
    visible: Bool[Tensor, "B P"]
    """The prototypes that each study may query."""
    responses: Float[Tensor, "B S width"] | None
    """Responses to the patches (eq. 13), for the contrastive loss."""


class Outputs(NamedTuple):
    """What the losses need from one forward pass with teacher forcing."""

    logits: Float[Tensor, "B T words"]
    image_responses: Float[Tensor, "B S width"] | None
    text_responses: Float[Tensor, "B T width"] | None
    region_mask: Bool[Tensor, "B S"]
    finding_logits: Float[Tensor, "B K"] | None


class FindingsHead(nn.Module):
    """Predict the findings from the patch features of all views."""

    def __init__(self, *, channels: int, num_findings: int, pool: str) -> None:
        super().__init__()
        self.with_max = pool == "mean+max"
        self.linear = nn.Linear(channels * (2 if self.with_max else 1), num_findings)

    def forward(self, patches: Patches) -> Float[Tensor, "B K"]:
        """Return one logit for each finding."""
        mask = patches.mask.unsqueeze(-1)
        pooled = (patches.features * mask).sum(1) / mask.sum(1)
        if self.with_max:
            # A nodule fills one region of a hundred: the maximum shows what the mean hides.
            highest = patches.features.masked_fill(~mask, -torch.inf).amax(1)
            pooled = torch.cat([pooled, highest], dim=-1)
        return self.linear(pooled)

    def region_shares(self, patches: Patches) -> Float[Tensor, "B S K"]:
        """Return the contribution of each region to each logit; as the head is linear, they and the bias add up to it.

        Computed in full precision under autocast, too, because differences of sums are compared. The maximum of a
        channel counts for the first region that has it.
        """
        mask = patches.mask.unsqueeze(-1)
        channels = patches.features.shape[-1]
        weight = full_precision(self.linear.weight)
        features = full_precision(patches.features)
        with torch.autocast(features.device.type, enabled=False):
            shares = (features * mask / mask.sum(1, keepdim=True)) @ weight[:, :channels].T
            if self.with_max:
                kept = features.masked_fill(~mask, -torch.inf)
                first = kept.argmax(1, keepdim=True)
                highest = torch.zeros_like(features).scatter(1, first, kept.gather(1, first))
                shares = shares + highest @ weight[:, channels:].T
        return shares


class XProNet(nn.Module):
    """The whole network."""

    def __init__(
        self, *, backbone: ResNet, settings: ModelSettings, num_words: int, padding: int, num_findings: int
    ) -> None:
        """Compose the network.

        Args:
            backbone: computes patch features from images.
            settings: of everything after the backbone.
            num_words: size of the vocabulary, including special tokens.
            padding: id that fills the end of a report.
            num_findings: K; with `settings.visible == "findings"`, bank_rows = K · per_finding.
        """
        super().__init__()
        if settings.visible == "findings" and settings.bank_rows != num_findings * settings.per_finding:
            raise InputError(
                f"model.bank_rows = {settings.bank_rows}: must be {num_findings} findings x "
                f"{settings.per_finding} prototypes"
            )
        width = settings.width
        channels = backbone.settings.width_out
        self.settings = settings
        self.padding = padding
        self.backbone = backbone
        self.patch_embedding = nn.Sequential(nn.Linear(channels, width), nn.ReLU(), nn.Dropout(settings.patch_dropout))
        self.word_embedding = nn.Embedding(num_words, width)
        self.word_dropout = nn.Dropout(settings.dropout)
        self.encoder = Encoder(settings)
        self.decoder = Decoder(settings)
        self.word_output = nn.Linear(width, num_words)
        self.matching = PrototypeMatching(settings) if settings.visible != "none" else None
        fuses = self.matching is not None and settings.fusion == "linear"
        self.image_fusion = nn.Linear(2 * width, width) if fuses else None
        self.text_fusion = nn.Linear(2 * width, width) if fuses else None
        self.findings_head = (
            FindingsHead(channels=channels, num_findings=num_findings, pool=settings.findings_pool)
            if settings.findings_head
            else None
        )
        # Not a weight: it is fitted after each epoch and saved with the thresholds, which depend on it.
        self.calibration: Tensor
        self.register_buffer("calibration", torch.tensor([[1.0], [0.0]]).repeat(1, num_findings), persistent=False)
        self._initialise()

    def forward(
        self,
        images: UInt8[Tensor, "B V height width"],
        view_mask: Bool[Tensor, "B V"],
        words: Int[Tensor, "B T"],
        findings: Bool[Tensor, "B K"],
    ) -> Outputs:
        """Predict each next word of the reference reports.

        Args:
            images: greyscale; those of absent views are ignored.
            view_mask: true on real views, at least one for each study.
            words: ids from BOS on, without the last.
            findings: the findings whose prototypes a study may query.
        """
        return self.read(self.encode_images(images, view_mask), words, findings)

    def read(self, patches: Patches, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]) -> Outputs:
        """Do the part of `forward` that follows the backbone."""
        encoded = self.encode(patches, findings)
        embedded, responses = self.embed(words, encoded)
        decoded = self.decoder(embedded, self.word_mask(words), encoded.regions, encoded.region_mask)
        return Outputs(
            logits=self.word_output(decoded.words),
            image_responses=encoded.responses,
            text_responses=responses,
            region_mask=patches.mask,
            finding_logits=self.findings_head(patches) if self.findings_head is not None else None,
        )

    def encode_images(
        self,
        images: UInt8[Tensor, "B V height width"],
        view_mask: Bool[Tensor, "B V"],
        backbone: ResNet | None = None,
    ) -> Patches:
        """Return the patch features of all views, view by view and row by row (paper, eq. 1).

        Args:
            images: greyscale; those of absent views are ignored.
            view_mask: true on real views.
            backbone: a faster equivalent of the network's own.
        """
        seen = (backbone or self.backbone)(to_rgb(images[view_mask]))
        regions = seen.flatten(2).transpose(1, 2)
        num_regions = regions.shape[1]
        features = regions.new_zeros((*view_mask.shape, *regions.shape[1:]))
        features[view_mask] = regions
        return Patches(features.flatten(1, 2), view_mask.repeat_interleave(num_regions, dim=1))

    def predict_findings(self, patches: Patches) -> Float[Tensor, "B K"]:
        """Return the probability of each finding, calibrated once training has fitted a calibration.

        Raises:
            InputError: the network has no findings head.
        """
        if self.findings_head is None:
            raise InputError("this model has no findings head: use --labels-from reference or all")
        scale, shift = full_precision(self.calibration)
        probabilities: Tensor = (scale * full_precision(self.findings_head(patches)) + shift).sigmoid()
        return probabilities

    def calibrate(self, calibration: Float[Tensor, "2 K"]) -> None:
        """Set the scale and shift that calibrate the logits of the findings."""
        self.calibration.copy_(calibration)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: ProjectedBank | None = None) -> Encoded:
        """Query the prototypes with the patches, fuse the responses and encode (paper, section 3.2).

        Args:
            patches: backbone features.
            findings: the findings whose prototypes a study may query.
            bank: the projected bank, if it has been computed before with the present weights.
        """
        embedded = self.patch_embedding(patches.features)
        visible = self.visible_rows(findings)
        responses = None
        if self.matching is not None:
            bank = bank or self.matching.project()
            responses = self.matching(embedded, bank, visible)
            embedded = _fuse(self.image_fusion, embedded, responses)
        regions = self.encoder(embedded, patches.mask)
        return Encoded(self.decoder.project(regions), patches.mask, bank, visible, responses)

    def embed(
        self, words: Int[Tensor, "B T"], encoded: Encoded, positions: Int[Tensor, "#T"] | None = None
    ) -> tuple[Float[Tensor, "B T width"], Float[Tensor, "B T width"] | None]:
        """Return words enriched by the prototypes that they query, and the responses.

        Args:
            words: ids.
            encoded: the studies that the words describe.
            positions: of each word, or one for all of them; by default 0, 1 and so on.
        """
        embedded = self.place(words, positions)
        if self.matching is None or encoded.bank is None:
            return embedded, None
        responses = self.matching(embedded, encoded.bank, encoded.visible)
        return _fuse(self.text_fusion, embedded, responses), responses

    def place(
        self, words: Int[Tensor, "B T"], positions: Int[Tensor, "#T"] | None = None
    ) -> Float[Tensor, "B T width"]:
        """Return embeddings times √width plus positional encodings, of 0, 1 and so on unless positions are given."""
        width = self.settings.width
        if positions is None:
            positions = torch.arange(words.shape[1], device=words.device)
        return self.word_dropout(self.word_embedding(words) * math.sqrt(width) + sinusoids(positions, width))

    def visible_rows(self, findings: Bool[Tensor, "B K"]) -> Bool[Tensor, "B P"]:
        """Return the prototypes that studies with these findings may query."""
        if self.settings.visible == "findings":
            return findings.repeat_interleave(self.settings.per_finding, dim=1)
        return findings.new_ones((findings.shape[0], self.settings.bank_rows))

    def word_mask(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B T T"]:
        """Return the words that each word may attend to: itself and those before it, without padding."""
        length = words.shape[1]
        present = words != self.padding
        # The first is BOS, which has the id of padding in the published vocabulary.
        present[:, 0] = True
        before = torch.ones(length, length, dtype=torch.bool, device=words.device).tril()
        return present.unsqueeze(1) & before

    def _initialise(self) -> None:
        """Initialise as published: Xavier in the transformer and the matching, PyTorch's default elsewhere."""
        inside: list[nn.Module] = [self.encoder, self.decoder, self.word_embedding]
        if self.matching is not None:
            # Rows of about unit length, until the prototypes replace them.
            nn.init.normal_(self.matching.bank, std=self.settings.bank_width**-0.5)
            inside += [self.matching.query, self.matching.key, self.matching.value, self.matching.output]
        if self.text_fusion is not None:
            inside.append(self.text_fusion)
        for module in inside:
            for parameter in module.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)


def _fuse(
    fusion: nn.Module | None, features: Float[Tensor, "B L width"], responses: Float[Tensor, "B L width"]
) -> Float[Tensor, "B L width"]:
    """Fuse features and responses (eq. 14), or add them if there is no fusion layer."""
    if fusion is None:
        return features + responses
    return fusion(torch.cat([features, responses], dim=-1))
