"""XProNet: a transformer from patches to words, both enriched by prototypes (paper, figure 3).

Shape legend: B studies, V views, R regions of a view, S = V·R regions of a study, T words, K findings, P prototypes.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.model.attention import KeysValues
from xpronet.model.matching import ProjectedBank, PrototypeMatching
from xpronet.model.report_model import FindingsHead, NextWord, Outputs, Patches, ReportModel, WordReading
from xpronet.model.settings import ModelSettings
from xpronet.model.transformer import Decoder, Encoder, sinusoids
from xpronet.precision import full_precision


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


class XProNet(ReportModel):
    """The whole network."""

    def __init__(
        self, *, backbone: ImageEncoder, settings: ModelSettings, num_words: int, padding: int, num_findings: int
    ) -> None:
        """Compose the network.

        Args:
            backbone: from images to patch features; a module.
            settings: everything behind the backbone.
            num_words: size of the vocabulary, special words included.
            padding: id that fills the end of a report.
            num_findings: K; with `settings.visible == "findings"`, bank_rows = K · per_finding.
        """
        super().__init__(
            backbone=backbone, settings=settings, num_words=num_words, padding=padding, num_findings=num_findings
        )
        if settings.visible == "findings" and settings.bank_rows != num_findings * settings.per_finding:
            raise InputError(
                f"model.bank_rows = {settings.bank_rows}: must be {num_findings} findings x "
                f"{settings.per_finding} prototypes"
            )
        width = settings.width
        channels = backbone.width_out
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
        self._initialise()

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

    def read_samples(
        self, patches: Patches, words: Int[Tensor, "B N T"], findings: Bool[Tensor, "B K"]
    ) -> Float[Tensor, "B N T words"]:
        """Return the logits of each next word of several reports of each study, which is encoded once."""
        each = words.shape[1]
        encoded = self.encode(patches, findings)
        encoded = encoded._replace(
            regions=[
                KeysValues(keys.repeat_interleave(each, dim=0), values.repeat_interleave(each, dim=0))
                for keys, values in encoded.regions
            ],
            region_mask=encoded.region_mask.repeat_interleave(each, dim=0),
            visible=encoded.visible.repeat_interleave(each, dim=0),
            responses=None,
        )
        rows = words.flatten(0, 1)
        embedded, _ = self.embed(rows, encoded)
        decoded = self.decoder(embedded, self.word_mask(rows), encoded.regions, encoded.region_mask)
        return self.word_output(decoded.words).view(*words.shape, self.num_words)

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

    def prepare_decoding(self) -> ProjectedBank | None:
        """Return the projected prototypes; None without any."""
        return self.matching.project() if self.matching is not None else None

    def start_decoding(self, encoded: Encoded, *, num_beams: int, max_words: int) -> NextWord:
        """Return empty caches for every beam of every study."""
        from xpronet.model.decoding import Decoding

        return Decoding(self, encoded, num_beams=num_beams, max_steps=max_words)

    def reread(self, encoded: Encoded, words: Int[Tensor, "B length"]) -> WordReading:
        """Read generated reports once more, all words at once.

        Which prototypes answer a word is asked where it is input to the next: one position after the one it was
        predicted at.

        Args:
            encoded: the studies.
            words: ids from BOS on, one more than the words that are reread.
        """
        embedded, _ = self.embed(words[:, :-1], encoded)
        decoded = self.decoder(
            embedded, self.word_mask(words[:, :-1]), encoded.regions, encoded.region_mask, with_attention=True
        )
        assert decoded.attention is not None, "attention was asked for"
        log_probabilities = full_precision(self.word_output(decoded.words)).log_softmax(-1)
        chosen = log_probabilities.gather(-1, words[:, 1:, None]).squeeze(-1)
        shares = None
        if self.matching is not None and encoded.bank is not None:
            queries = self.place(words[:, 1:], torch.arange(1, words.shape[1], device=words.device))
            shares = self.matching.weights(queries, encoded.bank, encoded.visible).mean(1)
        return WordReading(chosen, decoded.attention.mean((0, 2)).float(), shares)

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


def as_xpronet(model: ReportModel, what: str) -> XProNet:
    """Return a report model that is ours, for work that only our network can do.

    Raises:
        InputError: it is another model; `what` begins the message.
    """
    if not isinstance(model, XProNet):
        raise InputError(f"{what} needs an xpronet model; this one is {model.settings.name}")
    return model


def _fuse(
    fusion: nn.Module | None, features: Float[Tensor, "B L width"], responses: Float[Tensor, "B L width"]
) -> Float[Tensor, "B L width"]:
    """Fuse features and responses (eq. 14), or add them if there is no fusion layer."""
    if fusion is None:
        return features + responses
    return fusion(torch.cat([features, responses], dim=-1))
