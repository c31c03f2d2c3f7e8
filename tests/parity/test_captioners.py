"""The LSTM captioners against figures of the public implementation, with weights that are a function of their names."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.encoders.resnet import ResNet
from xpronet.generation.beam import beam_search
from xpronet.model.fast_cpu import fast_copy
from xpronet.model.report_model import Patches
from xpronet.model.search_settings import BeamSettings
from xpronet.model.settings import ModelSettings
from xpronet.rivals.captioner import Captioner
from xpronet.rivals.public_names import load_public_weights
from xpronet.training.losses import word_loss
from xpronet.training.optimiser import TrainSettings, clip_gradients, make_optimiser

KINDS = {
    "show_tell": ("st", {}),
    "newfc": ("st", {"maxout": True}),
    "adaatt": ("adaatt", {}),
    "adaatt_maxout": ("adaatt", {"maxout": True}),
    "att2in": ("att2in", {"raw_regions": True}),
    "att2in2": ("att2in", {}),
    "updown": ("topdown", {}),
}
"""Our name and options of each public model."""
SMALL = {"V": 29, "H": 16, "F": 24, "B": 3, "R": 6, "T": 7, "L": 12}
REAL = {"V": 760, "H": 512, "F": 2048, "B": 4, "R": 49, "T": 12, "L": 30}
SIZES = {"small": SMALL, "real": REAL}
PUBLISHED_ADAM = TrainSettings(
    optimiser="plain-adam", learning_rate=5e-4, weight_decay=0.0, clip_norm=0.0, clip_value=0.1, freeze_backbone=True
)


def fill(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the tensor that the figures were computed with."""
    noise = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(shape).astype(np.float32)
    if len(shape) < 2:
        return np.float32(0.05) * noise
    scale = 0.5 if name in ("embed.weight", "embed.0.weight") else 1 / np.sqrt(np.prod(shape[1:]))
    if name == "logit.weight":
        scale *= 20
    if name.endswith("alpha_net.weight"):
        scale *= 4
    return (scale * noise).astype(np.float32)


class Golden:
    """The figures of one size and seed, and their inputs."""

    def __init__(self, folder: Path, path: Path) -> None:
        size, seed = path.stem.removeprefix("lstm_").split("_seed")
        self.size, self.seed, self.sizes = size, int(seed), SIZES[size]
        with np.load(path) as arrays:
            self.figures = {name: torch.from_numpy(arrays[name]) for name in arrays}
        self.shapes = json.loads((folder / "lstm_state_dict_shapes.json").read_text())
        random = np.random.default_rng([self.seed, 7])
        studies, regions, width = (self.sizes[name] for name in "BRF")
        common = random.standard_normal((studies, 1, width))
        features = np.maximum(common + 0.5 * random.standard_normal((studies, regions, width)), 0).astype(np.float32)
        self.labels = self.figures["labels"].long()
        self.targets, self.target_mask = self.labels[:, 1:], self.figures["label_mask"][:, 1:].bool()
        self.patches = Patches(torch.from_numpy(features), self.figures["region_mask"].bool())
        self.findings = torch.zeros(studies, 14, dtype=torch.bool)

    def figure(self, kind: str, name: str) -> torch.Tensor:
        return self.figures[f"{kind}/{name}"]

    def model(self, kind: str) -> Captioner:
        name, options = KINDS[kind]
        backbone = ResNet(ImageEncoderSettings(depth=18, width=8))
        backbone.width_out = self.sizes["F"]  # patch features are given: it is never run
        settings = ModelSettings(
            name=name,
            width=self.sizes["H"],
            visible="none",
            findings_head=False,
            options={**options, "dropout": 0.0},
        )
        made = Captioner(
            backbone=backbone, settings=settings, num_words=self.sizes["V"] + 1, padding=0, num_findings=14
        )
        state = {
            name: torch.from_numpy(fill(name, self.shape(shape), self.seed))
            for name, shape in self.shapes[kind].items()
        }
        state["logit.bias"][0] = float(self.figure(kind, "end_bias"))
        load_public_weights(made, state)
        return made.eval()

    def shape(self, real: list[int]) -> tuple[int, ...]:
        """Return a shape with this size in place of the real one: all are multiples of one of the sizes."""
        if self.size == "real":
            return tuple(real)
        narrow = {761: self.sizes["V"] + 1, 2048: self.sizes["F"]}
        wide = real[0] % 512 == 0 and real[0] != 512
        return tuple(
            size if size == 1 else real_to_small(size, narrow, gates=wide and place == 0)
            for place, size in enumerate(real)
        )


def real_to_small(size: int, narrow: dict[int, int], *, gates: bool) -> int:
    if size in narrow and not gates:
        return narrow[size]
    return size // 512 * SMALL["H"]


@pytest.fixture(scope="module", params=["small", "real"])
def golden(request: pytest.FixtureRequest, shared: Path) -> list[Golden]:
    """All seeds of a size that are there."""
    folder = shared / "golden" / "rivals"
    paths = sorted(folder.glob(f"lstm_{request.param}_seed*.npz"))
    if not paths:
        pytest.skip(f"no figures of the LSTM captioners ({folder.name}/ is absent)")
    return [Golden(folder, path) for path in paths]


@pytest.mark.parametrize("kind", KINDS)
def test_teacher_forcing(golden: list[Golden], kind: str):
    for figures in golden:
        with torch.inference_mode():
            outputs = figures.model(kind).read(figures.patches, figures.labels[:, :-1], figures.findings)
            found = outputs.logits.log_softmax(-1)
        if figures.size == "small":
            torch.testing.assert_close(found, figures.figure(kind, "log_probs"), rtol=0, atol=2e-5)
        else:
            torch.testing.assert_close(found[:, :8, :32], figures.figure(kind, "log_probs_sample"), rtol=0, atol=5e-5)
        total = float(found.double().abs().sum())
        assert total == pytest.approx(float(figures.figure(kind, "log_probs_sum_abs")), rel=1e-6)
        loss = word_loss(outputs.logits, figures.targets, figures.target_mask)
        assert float(loss) == pytest.approx(float(figures.figure(kind, "cross_entropy")), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_three_steps_of_training(golden: list[Golden], kind: str):
    for figures in golden:
        model = figures.model(kind).train()
        optimiser = make_optimiser(model, PUBLISHED_ADAM)
        seen = []
        for _ in range(3):
            optimiser.zero_grad()
            outputs = model.read(figures.patches, figures.labels[:, :-1], figures.findings)
            loss = word_loss(outputs.logits, figures.targets, figures.target_mask)
            seen.append(float(loss.detach()))
            loss.backward()
            clip_gradients(model.parameters(), PUBLISHED_ADAM)
            optimiser.step()
        expected = figures.figure(kind, "train_losses").tolist()
        assert seen == pytest.approx(expected, abs=1e-3 if figures.size == "small" else 1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_search(golden: list[Golden], kind: str):
    for figures in golden:
        model = fast_copy(figures.model(kind))
        longest = figures.sizes["L"]
        for beams in (1, 3):
            if beams == 3 and kind == "show_tell":
                continue  # there is no figure: the public beam search of this model does not run
            with torch.inference_mode():
                encoded = model.encode(figures.patches, figures.findings)
                found = beam_search(
                    model.start_decoding(encoded, num_beams=beams, max_words=longest),
                    num_studies=figures.sizes["B"],
                    begin=0,
                    end=0,
                    settings=BeamSettings(beams=beams, max_words=longest),
                )
            name = "greedy_tokens" if beams == 1 else "beam3_tokens"
            expected = figures.figure(kind, name).tolist()
            assert [[*report.words, *[0] * (longest - len(report.words))] for [report] in found] == expected
            if beams == 3:
                sums = figures.figure(kind, "beam3_logprob").tolist()
                assert [report.log_probability for [report] in found] == pytest.approx(sums, abs=1e-4)
