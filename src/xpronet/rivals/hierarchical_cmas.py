"""CMAS: a planner chooses for each sentence whether the writer of normal or of abnormal ones writes it (Jing 2019).

Which sentences are abnormal is read by the rules of the labeler; there is no reinforcement stage.

Shape legend: B studies, N beams, S regions of all views, W width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from xpronet.model.report_model import DerivedData, Patches, TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.precision import full_precision
from xpronet.rivals.flat import NEVER, FlatModel, State, either, zeros
from xpronet.rivals.hierarchical_hrgr import RegionStudies
from xpronet.rivals.layers import AdditiveAttention, LSTMCell
from xpronet.rivals.sentences import derive_sentences, sentences_of
from xpronet.rivals.templates import is_abnormal
from xpronet.settings_tables import read_table
from xpronet.text.vocabulary import Phrase

WRITERS = ("<normal>", "<abnormal>")
"""The marks of both writers, by their numbers."""


@dataclass(frozen=True, kw_only=True)
class CMASSettings:
    """The `[model.options]` of cmas: none."""


def writer_of(sentence: str) -> int:
    """Return the number of the writer that writes a sentence."""
    return int(is_abnormal(sentence))


class CMAS(FlatModel):
    """A planner, and two word LSTMs of one structure with weights of their own; all share the embedding of words."""

    predicts_from = ("features", "actions", "writer")

    @staticmethod
    def derive(studies: TrainStudies, settings: ModelSettings) -> DerivedData:
        """Return the marks of both writers.

        Raises:
            InputError: no report has two sentences.
        """
        read_table(CMASSettings, settings.options, prefix="model.options.")
        abnormal = [
            [writer_of(" ".join(words)) for words in sentences_of(studies.vocabulary.clean(report))]
            for report in studies.reports
        ]
        sentences = [one for report in abnormal for one in report]
        share, reports = sum(sentences) / max(1, len(sentences)), sum(map(any, abnormal)) / max(1, len(abnormal))
        return derive_sentences(
            studies,
            name=settings.name,
            phrases=[Phrase(mark, "") for mark in WRITERS],
            choose=writer_of,
            record={"abnormal_sentences": round(share, 6), "reports_with_one": round(reports, 6)},
            summary=[f"Abnormal: {share:.1%} of the sentences of the train reports, in {reports:.0%} of the reports"],
        )

    def compose(self, derived: Mapping[str, Any]) -> None:
        """Make the layers."""
        width = self.settings.width
        self.embed_regions = nn.Linear(self.backbone.width_out, width)
        self.region_dropout = nn.Dropout(self.settings.patch_dropout)
        self.plan_attention = AdditiveAttention(sources=width, state=width, width=width)
        self.planner = LSTMCell(2 * width, width)
        self.choice = nn.Linear(2 * width, 1 + len(WRITERS))
        self.starts = nn.ModuleList(nn.Linear(width, width) for _ in WRITERS)
        self.writers = nn.ModuleList(LSTMCell(2 * width, width) for _ in WRITERS)
        self.word_outputs = nn.ModuleList(nn.Linear(width, self.num_words) for _ in WRITERS)

    def encode(self, patches: Patches, findings: Bool[Tensor, "B K"], bank: Any = None) -> RegionStudies:
        """Project the regions; the given findings have no part in it."""
        regions = self.region_dropout(self.embed_regions(patches.features).relu())
        keys = self.plan_attention.key(regions)
        return RegionStudies(regions, keys, keys, patches.mask)

    def begin(self, encoded: RegionStudies, num_beams: int) -> State:
        """Return zero states."""
        blank = zeros(encoded.regions, num_beams, self.settings.width)
        return {
            **dict.fromkeys(("plan", "plan_cell", "context", "features", "word_cell"), blank),
            "writer": torch.zeros((len(encoded.regions), num_beams), dtype=torch.bool, device=blank.device),
            "actions": zeros(encoded.regions, num_beams, 2 + len(WRITERS)),
            "attention": zeros(encoded.regions, num_beams, encoded.mask.shape[1]),
        }

    def advance(
        self,
        encoded: RegionStudies,
        state: State,
        words: Int[Tensor, "B N"],
        opens: Bool[Tensor, "B N"],
        silent: Bool[Tensor, "B N"],
    ) -> State:
        """Let a writer read the word; a mark starts it, and behind a full stop its state goes to the planner."""
        if silent.any():
            writer = torch.where(silent, words - self.first_phrase == 1, state["writer"])
            starts = torch.where(
                writer.unsqueeze(-1),
                torch.tanh(self.starts[1](state["plan"])),
                torch.tanh(self.starts[0](state["plan"])),
            )
            begun = silent.unsqueeze(-1)
            state = {
                **state,
                "writer": writer,
                "features": torch.where(begun, starts, state["features"]),
                "word_cell": torch.where(begun, 0.0, state["word_cell"]),
            }
        inputs = torch.cat([self.word_embedding(words), state["context"]], dim=-1)
        (first, first_cell), (second, second_cell) = (
            writer(inputs, state["features"], state["word_cell"]) for writer in self.writers
        )
        chosen = state["writer"].unsqueeze(-1)
        inside = {
            **{name: state[name] for name in ("plan", "plan_cell", "context", "writer", "actions", "attention")},
            "features": torch.where(chosen, second, first),
            "word_cell": torch.where(chosen, second_cell, first_cell),
        }
        return either(opens, self._plan(encoded, inside, words), inside) if opens.any() else inside

    def _plan(self, encoded: RegionStudies, state: State, words: Int[Tensor, "B N"]) -> State:
        seen = self.plan_attention(state["plan"], encoded.regions, encoded.sentence_keys, encoded.mask)
        # Behind BOS no writer has written: the local state is zero.
        local = torch.where((words == self.full_stop).unsqueeze(-1), state["features"], 0.0)
        plan, cell = self.planner(torch.cat([seen.context, local], dim=-1), state["plan"], state["plan_cell"])
        choice = full_precision(self.choice(torch.cat([plan, seen.context], dim=-1))).log_softmax(-1)
        write = torch.full_like(choice[..., :1], NEVER)
        return {
            **state,
            "plan": plan,
            "plan_cell": cell,
            "context": seen.context,
            "actions": torch.cat([choice[..., :1], write, choice[..., 1:]], dim=-1),
            "attention": seen.weights,
        }

    def word_logits(self, state: State) -> Float[Tensor, "B N words"]:
        """Return the logits of the next word, from the writer that is at work."""
        features = self.output_dropout(state["features"])
        normal, abnormal = (output(features) for output in self.word_outputs)
        return torch.where(state["writer"].unsqueeze(-1), abnormal, normal)
