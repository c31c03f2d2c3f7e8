"""Measure the writing of reports by the LSTM captioners: beam 3, 60 words of which none ends a report.

    python benchmarks/captioners.py [--small] [--device cpu|cuda] [--repeats N]

Beside each a plain search that reads every prefix of every beam again at each word, with regions and their projections
copied for each beam. Prints one JSON object.
"""

import torch
from measuring import NUM_FINDINGS, VOCABULARY, machine, paper_studies, read_options, show, timed
from torch import Tensor

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.generation.beam import beam_search
from xpronet.model.build import build_report_model
from xpronet.model.fast_cpu import fast_copy
from xpronet.model.report_model import Patches, ReportModel
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings

BEAMS, LENGTH = 3, 60
BEGIN, END, FORBIDDEN = 1, 2, (0, 1, 2)
NAMES = ("st", "adaatt", "att2in", "topdown")
WIDTH = {True: 256, False: 512}
"""Of the state, in small and in whole."""


class Plain:
    """The same next words, with nothing kept: every beam is a study of its own, read from its first word."""

    def __init__(self, model: ReportModel, patches: Patches) -> None:
        self._model = model
        self._patches = Patches(*(part.repeat_interleave(BEAMS, 0) for part in patches))
        self._words: Tensor | None = None

    def step(self, words: Tensor, origin: Tensor | None = None) -> Tensor:
        """Read all prefixes again."""
        newest = words.unsqueeze(-1)
        if self._words is None:
            self._words = newest
        else:
            if origin is not None:
                self._words = self._words.gather(1, origin.unsqueeze(-1).expand_as(self._words))
            self._words = torch.cat([self._words, newest], dim=-1)
        findings = torch.zeros(words.numel(), NUM_FINDINGS, dtype=torch.bool, device=words.device)
        logits = self._model.read(self._patches, self._words.flatten(0, 1), findings).logits[:, -1]
        return logits.log_softmax(-1).view(*words.shape, -1)

    def keep(self, studies: Tensor) -> None:
        """No study ends before the others here."""
        raise AssertionError("no report ends")


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__)
    studies = paper_studies(options.studies, options.device)
    seconds, ratios, same = {}, {}, {}
    for name in NAMES:
        model = make(name, studies.patches.features.shape[-1], WIDTH[options.small]).to(options.device).eval()
        found: dict[str, list] = {}
        ways = {
            f"{name} decode": lambda model=model, found=found: found.update(decode=write(model, studies.patches)),
        }
        plain = {
            f"{name} plain": lambda model=model, found=found: found.update(
                plain=write(model, studies.patches, plain=True)
            )
        }
        times = timed(ways, device=options.device, repeats=options.repeats) | timed(
            plain, device=options.device, repeats=1, warm_ups=0
        )
        seconds |= times
        ratios[name] = round(times[f"{name} plain"]["median"] / times[f"{name} decode"]["median"], 1)
        same[name] = [report.words for [report] in found["decode"]] == [report.words for [report] in found["plain"]]
    show(
        {
            "benchmark": "captioners",
            "machine": machine(options.device),
            "sizes": {"studies": options.studies, "beams": BEAMS, "words": LENGTH, "state": WIDTH[options.small]},
            "seconds": seconds,
            "plain to decode (at least 10)": ratios,
            "same_reports": same,
        }
    )


def make(name: str, channels: int, width: int) -> ReportModel:
    """Return a captioner with random weights."""
    torch.manual_seed(0)
    backbone = ResNet(ImageEncoderSettings(depth=18, width=8))
    backbone.width_out = channels  # features are given: it is never run
    settings = ModelSettings(name=name, width=width, visible="none", findings_head=False)
    return build_report_model(settings, backbone=backbone, num_words=VOCABULARY, padding=0, num_findings=NUM_FINDINGS)


def write(model: ReportModel, patches: Patches, *, plain: bool = False) -> list:
    """Encode and write all reports."""
    with torch.inference_mode():
        if plain:
            state = Plain(model, patches)
        else:
            model = fast_copy(model)
            encoded = model.encode(patches, torch.zeros(len(patches.mask), NUM_FINDINGS, dtype=torch.bool))
            state = model.start_decoding(encoded, num_beams=BEAMS, max_words=LENGTH)
        return beam_search(
            state,
            num_studies=len(patches.mask),
            begin=BEGIN,
            end=END,
            settings=BeamSettings(beams=BEAMS, max_words=LENGTH),
            forbidden=FORBIDDEN,
            device=patches.features.device,
        )


if __name__ == "__main__":
    main()
