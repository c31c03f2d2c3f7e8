"""SentSAT+KG: regions gathered into a graph of findings, and a sentence LSTM that attends to its nodes (Zhang 2020).

Shape legend: B studies, N beams, S regions of all views, F width of a region, G findings of the graph and M = 1 + G
nodes with the global one, D width of a node, W width of a state, K findings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from xpronet.model.report_model import DerivedData, Patches, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.rivals.flat import FlatModel, State, either, zeros
from xpronet.rivals.graph_findings import (
    adjacency,
    backward_adjacency,
    graph_nodes,
    graph_record,
    graph_summary,
)
from xpronet.rivals.layers import AdditiveAttention, LSTMCell
from xpronet.rivals.sentences import derive_sentences
from xpronet.settings_tables import read_table

GRAPH_LAYERS = 3


@dataclass(frozen=True, kw_only=True)
class SentSATSettings:
    """The `[model.options]` of sentsat_kg; its states are `model.width` wide, its nodes twice that."""

    nodes: list[str] = field(default_factory=list)
    """Findings of the graph; none named are all that the train studies have."""
    normalise: Literal["self-loops", "published"] = "self-loops"
    """Of the edges, with an edge from each node to itself or, as published, without."""
    node_loss: float = 1.0
    """Weight of the loss of the findings that are read from the graph."""


class NodePooling(nn.Module):
    """A softmax over the regions of all views for each finding; the global node is the mean of the regions."""

    def __init__(self, channels: int, num_nodes: int) -> None:
        super().__init__()
        self.maps = nn.Linear(channels, num_nodes)

    def forward(self, patches: Patches) -> tuple[Float[Tensor, "B M F"], Float[Tensor, "B M S"]]:
        """Return the nodes, the global one first, and what each was gathered from."""
        maps = full_precision(self.maps(patches.features)).transpose(1, 2)
        weights = maps.masked_fill(~patches.mask.unsqueeze(1), -torch.inf).softmax(-1)
        mask = patches.mask.unsqueeze(1).to(weights.dtype)
        weights = torch.cat([mask / mask.sum(-1, keepdim=True), weights], dim=1)
        return weights.to(patches.features.dtype) @ patches.features, weights


class GraphLayer(nn.Module):
    """Messages along the edges, against them, and from each node to itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 4
        self.messages = nn.ModuleList(nn.Linear(width, inner, bias=False) for _ in range(3))
        # Of layers, not of batches: the same on any number of processes.
        self.norms = nn.ModuleList(nn.LayerNorm(inner) for _ in range(3))
        self.output = nn.Linear(3 * inner, width, bias=False)
        self.output_norm = nn.LayerNorm(width)

    def forward(
        self, nodes: Float[Tensor, "B M D"], along: Float[Tensor, "M M"], against: Float[Tensor, "M M"]
    ) -> Float[Tensor, "B M D"]:
        """Return the nodes after one exchange; node j receives Σ_i X_i A_ij."""
        sent = (nodes, along.T.to(nodes.dtype) @ nodes, against.T.to(nodes.dtype) @ nodes)
        heard = [
            norm(message(each)).relu() for message, norm, each in zip(self.messages, self.norms, sent, strict=True)
        ]
        return (nodes + self.output_norm(self.output(torch.cat(heard, dim=-1)))).relu()


class GraphStudies(NamedTuple):
    """What the words of each study depend on."""

    nodes: Float[Tensor, "B M D"]
    keys: Float[Tensor, "B M W"]
    gathered: Float[Tensor, "B M S"]
    """From which regions each node was gathered."""
    node_logits: Float[Tensor, "B G"]


class SentSATKG(FlatModel):
    """A graph of findings, a sentence LSTM over its nodes and a word LSTM that ends the report."""

    predicts_from = ("features",)

    @staticmethod
    def embedding_width(settings: ModelSettings) -> int:
        """Return half the width, as in the original."""
        return settings.width // 2

    @staticmethod
    def derive(studies: TrainStudies, settings: ModelSettings) -> DerivedData:
        """Return the graph.

        Raises:
            InputError: a finding that is wanted is not there, or no report has two sentences.
        """
        options = read_table(SentSATSettings, settings.options, prefix="model.options.")
        graph = graph_record(studies, graph_nodes(studies, options.nodes))
        return derive_sentences(studies, name=settings.name, record={"graph": graph}, summary=graph_summary(graph))

    def compose(self, derived: Mapping[str, Any]) -> None:
        """Make the layers."""
        options = read_table(SentSATSettings, self.settings.options, prefix="model.options.")
        self.node_weight = options.node_loss
        nodes = derived["graph"]["nodes"]
        self.columns = [int(column) for column in derived["graph"]["columns"]]
        self.along: Tensor
        self.against: Tensor
        self.register_buffer("along", adjacency(nodes, options.normalise), persistent=False)
        self.register_buffer("against", backward_adjacency(nodes, options.normalise), persistent=False)
        width, node_width = self.settings.width, 2 * self.settings.width
        self.pooling = NodePooling(self.backbone.width_out, len(nodes))
        self.project_nodes = nn.Linear(self.backbone.width_out, node_width)
        self.graph = nn.ModuleList(GraphLayer(node_width) for _ in range(GRAPH_LAYERS))
        self.node_output = nn.Linear(node_width, len(nodes))
        self.start_state = nn.Linear(node_width, width)
        self.start_cell = nn.Linear(node_width, width)
        self.attention = AdditiveAttention(sources=node_width, state=width, width=width)
        self.sentence = LSTMCell(node_width, width)
        self.word = LSTMCell(width // 2 + width + node_width, width)
        self.word_output = nn.Linear(width, self.num_words)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> GraphStudies:
        """Gather the nodes and let them exchange messages; the given findings have no part in it."""
        gathered_features, gathered = self.pooling(patches)
        nodes = self.project_nodes(gathered_features)
        for layer in self.graph:
            nodes = layer(nodes, self.along, self.against)
        logits = full_precision(self.node_output(nodes.mean(1)))
        return GraphStudies(nodes, self.attention.key(nodes), gathered, logits)

    def begin(self, encoded: GraphStudies, num_beams: int) -> State:
        """Start the sentence level from the global node, and the word level from zero."""
        width = self.settings.width
        blank = zeros(encoded.nodes, num_beams, width)
        overall = encoded.nodes[:, :1].expand(-1, num_beams, -1)
        return {
            "sentence": full_precision(self.start_state(overall)),
            "sentence_cell": full_precision(self.start_cell(overall)),
            "context": zeros(encoded.nodes, num_beams, 2 * width),
            "features": blank,
            "word_cell": blank,
            "attention": zeros(encoded.nodes, num_beams, encoded.gathered.shape[2]),
        }

    def advance(
        self,
        encoded: GraphStudies,
        state: State,
        words: Int[Tensor, "B N"],
        opens: Bool[Tensor, "B N"],
        silent: Bool[Tensor, "B N"],
    ) -> State:
        """Advance the sentence level at a boundary, then read the word; the word level goes on through the report."""
        names = ("sentence", "sentence_cell", "context", "attention")
        level = {name: state[name] for name in names}
        if opens.any():
            level = either(opens, self._next_sentence(encoded, level), level)
        inputs = torch.cat([self.word_embedding(words), level["sentence"], level["context"]], dim=-1)
        features, cell = self.word(inputs, state["features"], state["word_cell"])
        return {**level, "features": features, "word_cell": cell}

    def _next_sentence(self, encoded: GraphStudies, state: State) -> State:
        seen = self.attention(state["sentence"], encoded.nodes, encoded.keys)
        now, cell = self.sentence(seen.context, state["sentence"], state["sentence_cell"])
        return {
            "sentence": now,
            "sentence_cell": cell,
            "context": full_precision(seen.context),
            "attention": seen.weights @ encoded.gathered,
        }

    def word_logits(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the logits of the next word, EOS among them."""
        return self.word_output(self.output_dropout(state["features"]))

    def actions(self, state: State, logits: Float[Tensor, "B N words"]) -> Float[Tensor, "B N actions"]:
        """Return the probability of EOS among the words, and of any other word: the word level ends the report."""
        whole = logits.masked_fill(~(self.ordinary | self.ends), -torch.inf).logsumexp(-1)
        others = logits.masked_fill(~self.ordinary, -torch.inf).logsumexp(-1)
        return torch.stack([logits[..., self.eos] - whole, others - whole], dim=-1)

    def extra_losses(
        self, encoded: GraphStudies, trace: State, words: Int[Tensor, "B T"], findings: Bool[Tensor, "B K"]
    ) -> dict[str, Tensor]:
        """Return the loss of the findings that are read from the graph."""
        truth = findings[:, self.columns].to(encoded.node_logits.dtype)
        loss = functional.binary_cross_entropy_with_logits(encoded.node_logits, truth)
        return {"nodes": self.node_weight * loss}
