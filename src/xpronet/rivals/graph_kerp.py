"""KERP, the nearest version: a graph of findings, a template for each sentence that guides its words (Li 2019).

There is no code of its authors. A template is not copied, as in HRGR: the word LSTM attends to its words and writes.

Shape legend: B studies, N beams, S regions of all views, F width of a region, G findings of the graph, H heads,
P templates and none of them, L words of the longest template, W width, K findings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from xpronet.model.attention import join_heads, split_heads
from xpronet.model.report_model import DerivedData, Patches, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.rivals.flat import NEVER, FlatModel, State, either, zeros
from xpronet.rivals.graph_findings import graph_nodes, graph_record, graph_summary
from xpronet.rivals.layers import AdditiveAttention, LSTMCell
from xpronet.rivals.sentences import derive_sentences
from xpronet.rivals.templates import SHARE, TemplateChoice, check_share, derive_templates
from xpronet.settings_tables import read_table
from xpronet.text.vocabulary import Phrase

NODE_LAYERS = 2
FAINT = 1e-3
"""Added to a probability before its logarithm."""


@dataclass(frozen=True, kw_only=True)
class KERPSettings:
    """The `[model.options]` of kerp; its nodes and states are `model.width` wide."""

    nodes: list[str] = field(default_factory=list)
    """Findings of the graph; none named are all that the train studies have."""
    template_share: float = SHARE
    """Of the train reports that must have a template's meaning."""
    node_loss: float = 1.0
    """Weight of the loss of the findings that are read from the graph."""

    def __post_init__(self) -> None:
        check_share(self.template_share)


class NodeLayer(nn.Module):
    """Self-attention among nodes with the prior of their coming together, then a feed-forward layer; pre-norm."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width = settings.width
        self.heads = settings.heads
        self.projections = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.trust = nn.Parameter(torch.ones(settings.heads))
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, nodes: Float[Tensor, "B G W"], prior: Float[Tensor, "G G"]) -> Float[Tensor, "B G W"]:
        """Refine the nodes; `prior` holds log P(j | i)."""
        attention_norm, fed_norm = self.norms
        query, key, value = (
            split_heads(part, self.heads) for part in self.projections(attention_norm(nodes)).chunk(3, dim=-1)
        )
        energy = full_precision(query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
        weights = (energy + self.trust.view(-1, 1, 1) * prior).softmax(-1)
        nodes = nodes + self.dropout(self.output(join_heads(weights.to(value.dtype) @ value)))
        return nodes + self.dropout(self.outer(self.inner(fed_norm(nodes)).relu()))


class KERPStudies(NamedTuple):
    """What the words of each study depend on."""

    nodes: Float[Tensor, "B G W"]
    sentence_keys: Float[Tensor, "B G W"]
    word_keys: Float[Tensor, "B G W"]
    gathered: Float[Tensor, "B G S"]
    """From which regions each node was gathered."""
    node_logits: Float[Tensor, "B G"]
    templates: Float[Tensor, "P L W"]
    """Embedded words of all templates; the same for all studies."""
    template_keys: Float[Tensor, "P L W"]


class KERP(FlatModel):
    """Nodes from regions, templates from nodes, words from templates and nodes."""

    @staticmethod
    def derive(studies: TrainStudies, settings: ModelSettings) -> DerivedData:
        """Return the graph and the templates, each with a mark that is written as nothing.

        Raises:
            InputError: a finding that is wanted is not there, no sentence is in so many reports, or no report has two.
        """
        options = read_table(KERPSettings, settings.options, prefix="model.options.")
        graph = graph_record(studies, graph_nodes(studies, options.nodes))
        templates = derive_templates(studies, share=options.template_share, name=settings.name)
        marks = [Phrase("<no template>", ""), *(Phrase(phrase.name, "") for phrase in templates.phrases())]
        ids = [studies.vocabulary.ids_of(each.text.split()) for each in templates.templates]
        return derive_sentences(
            studies,
            name=settings.name,
            phrases=marks,
            choose=TemplateChoice(templates.templates, first=1, otherwise=0),
            record={"graph": graph, "templates": templates.record(), "template_ids": ids},
            summary=[*graph_summary(graph), *templates.summary(len(studies.reports))],
        )

    def compose(self, derived: Mapping[str, Any]) -> None:
        """Make the layers."""
        self.node_weight = read_table(KERPSettings, self.settings.options, prefix="model.options.").node_loss
        self.columns = [int(column) for column in derived["graph"]["columns"]]
        self.prior: Tensor
        self.register_buffer("prior", (torch.tensor(derived["graph"]["given"]) + FAINT).log(), persistent=False)
        # No template is a text of one word, its own mark, whose embedding is learned.
        texts = [[self.first_phrase], *derived["template_ids"]]
        longest = max(map(len, texts))
        ids = torch.tensor([[*text, *[self.padding] * (longest - len(text))] for text in texts])
        self.template_ids: Tensor
        self.template_mask: Tensor
        self.register_buffer("template_ids", ids, persistent=False)
        mask = torch.tensor([[place < len(text) for place in range(longest)] for text in texts])
        self.register_buffer("template_mask", mask, persistent=False)
        width, channels = self.settings.width, self.backbone.width_out
        self.maps = nn.Linear(channels, len(self.columns), bias=False)
        self.project_nodes = nn.Linear(channels, width)
        self.node_embedding = nn.Parameter(torch.randn(len(self.columns), width) * width**-0.5)
        self.node_layers = nn.ModuleList(NodeLayer(self.settings) for _ in range(NODE_LAYERS))
        self.node_output = nn.Linear(width, 1)
        self.sentence_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.sentence = LSTMCell(width, width)
        self.topic = nn.Linear(width, width)
        self.stop = nn.Linear(width, 1)
        self.policy = nn.Linear(width, self.num_phrases)
        self.template_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.word_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.word = LSTMCell(4 * width, width)
        self.word_output = nn.Linear(width, self.num_words)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> KERPStudies:
        """Gather and refine the nodes, and embed the templates; the given findings have no part in it."""
        maps = full_precision(self.maps(patches.features)).transpose(1, 2)
        gathered = maps.masked_fill(~patches.mask.unsqueeze(1), -torch.inf).softmax(-1)
        nodes = self.project_nodes(gathered.to(patches.features.dtype) @ patches.features) + self.node_embedding
        for layer in self.node_layers:
            nodes = layer(nodes, self.prior)
        templates = self.word_embedding(self.template_ids)
        return KERPStudies(
            nodes,
            self.sentence_attention.key(nodes),
            self.word_attention.key(nodes),
            gathered,
            full_precision(self.node_output(nodes)).squeeze(-1),
            templates,
            self.template_attention.key(templates),
        )

    def select(self, encoded: KERPStudies, studies: Int[Tensor, "kept"]) -> KERPStudies:
        """Return some of the encoded studies; the templates belong to all."""
        own = {name: getattr(encoded, name)[studies] for name in KERPStudies._fields[:5]}
        return encoded._replace(**own)

    def begin(self, encoded: KERPStudies, num_beams: int) -> State:
        """Return zero states."""
        blank = zeros(encoded.nodes, num_beams, self.settings.width)
        return {
            **dict.fromkeys(("sentence", "sentence_cell", "topic", "features", "word_cell"), blank),
            "template": torch.zeros(blank.shape[:2], dtype=torch.long, device=blank.device),
            "actions": zeros(encoded.nodes, num_beams, 2 + self.num_phrases),
            "attention": zeros(encoded.nodes, num_beams, encoded.gathered.shape[2]),
        }

    def advance(
        self,
        encoded: KERPStudies,
        state: State,
        words: Int[Tensor, "B N"],
        opens: Bool[Tensor, "B N"],
        silent: Bool[Tensor, "B N"],
    ) -> State:
        """Choose what a sentence is like at a boundary; else read the word, or the mark of the template."""
        template = torch.where(silent, words - self.first_phrase, state["template"])
        of_template = self._attend_template(encoded, state["features"], template)
        seen = self.word_attention(
            state["features"], encoded.nodes, encoded.word_keys, bias=functional.logsigmoid(encoded.node_logits)
        )
        inputs = torch.cat([self.word_embedding(words), state["topic"], of_template, seen.context], dim=-1)
        features, cell = self.word(inputs, state["features"], state["word_cell"])
        inside = {
            **{name: state[name] for name in ("sentence", "sentence_cell", "topic", "actions")},
            "template": template,
            "features": features,
            "word_cell": cell,
            "attention": seen.weights @ encoded.gathered,
        }
        return either(opens, self._begin_sentence(encoded, inside), inside) if opens.any() else inside

    def _attend_template(
        self, encoded: KERPStudies, state: Float[Tensor, "B N W"], template: Int[Tensor, "B N"]
    ) -> Float[Tensor, "B N W"]:
        """Attend to the words of the template that each beam has chosen."""
        chosen = template.flatten()
        seen = self.template_attention(
            state.flatten(0, 1).unsqueeze(1),
            encoded.templates[chosen],
            encoded.template_keys[chosen],
            self.template_mask[chosen],
        )
        return seen.context.view_as(state)

    def _begin_sentence(self, encoded: KERPStudies, state: State) -> State:
        seen = self.sentence_attention(
            state["sentence"], encoded.nodes, encoded.sentence_keys, bias=functional.logsigmoid(encoded.node_logits)
        )
        now, cell = self.sentence(seen.context, state["sentence"], state["sentence_cell"])
        topic = self.topic(now).sigmoid()
        stop = full_precision(self.stop(now))
        policy = full_precision(self.policy(topic)).log_softmax(-1)
        blank = torch.zeros_like(now)
        actions = [functional.logsigmoid(stop), torch.full_like(stop, NEVER), functional.logsigmoid(-stop) + policy]
        return {
            "sentence": now,
            "sentence_cell": cell,
            "topic": topic,
            "template": torch.zeros_like(state["template"]),
            "features": blank,
            "word_cell": blank,
            "actions": torch.cat(actions, dim=-1),
            "attention": seen.weights @ encoded.gathered,
        }

    def word_logits(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the logits of the next word."""
        return self.word_output(self.output_dropout(state["features"]))

    def extra_losses(
        self, encoded: KERPStudies, trace: State, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]
    ) -> dict[str, Tensor]:
        """Return the loss of the findings that are read from the graph."""
        truth = findings[:, self.columns].to(encoded.node_logits.dtype)
        loss = functional.binary_cross_entropy_with_logits(encoded.node_logits, truth)
        return {"nodes": self.node_weight * loss}
