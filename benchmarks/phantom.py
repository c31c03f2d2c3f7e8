"""Measure the phantom corpus: how fast it is made, and how well simple models read it.

    python benchmarks/phantom.py [--studies 2860] [--cnn] [--corpus FOLDER]

A linear model on small images is the floor (it should stay under 0.5), a small residual network the goal (0.85).
Prints one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.study import SPLITS
from xpronet.files import read_json_lines
from xpronet.labels.findings import ABNORMALITIES
from xpronet.phantom.make_corpus import TRUTH_FILE, PhantomSettings, make_phantom

LINEAR_SIDE = 32
NETWORK_SIDE = 112
MARGIN = 8

Split = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Make or read a balanced corpus, fit the models asked for, and print what they reach."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2860)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="an existing balanced phantom corpus, instead of making one")
    parser.add_argument("--cnn", action="store_true", help="train the residual network, too (minutes)")
    parser.add_argument("--epochs", type=int, default=10)
    chosen = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        where = chosen.corpus or Path(folder) / "phantom"
        if chosen.corpus is None:
            started = time.perf_counter()
            make_phantom(where, PhantomSettings(studies=chosen.studies, seed=chosen.seed, prevalence="balanced"))
            result["studies_per_second"] = round(chosen.studies / (time.perf_counter() - started), 1)
        corpus = open_corpus(where)
        result["linear"] = linear_scores(read_pixels(corpus, LINEAR_SIDE))
        if chosen.cnn:
            result["network"] = network_scores(read_pixels(corpus, NETWORK_SIDE), chosen.epochs)
    print(json.dumps(result, indent=1))


def read_pixels(corpus: Corpus, side: int) -> dict[str, Split]:
    """Return images (studies, views, side, side) as bytes and truth (studies, findings) of each split."""
    truth = {record["id"]: record["findings"] for record in read_json_lines(corpus.folder / TRUTH_FILE)}
    splits = {}
    for name in SPLITS:
        pictures, present = [], []
        for study in corpus.split(name):
            views = [
                Image.open(corpus.view_path(view)).resize((side, side), Image.Resampling.BOX) for view in study.views
            ]
            pictures.append(np.stack([np.asarray(view) for view in views]))
            present.append([finding in truth[study.id] for finding in ABNORMALITIES])
        splits[name] = np.stack(pictures), np.array(present)
    return splits


def linear_scores(splits: dict[str, Split]) -> dict[str, Any]:
    """Fit one logistic regression a finding on the standardised pixels of both views."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    flat = {name: pictures.reshape(len(pictures), -1).astype(np.float32) for name, (pictures, _) in splits.items()}
    scaler = StandardScaler().fit(flat["train"])
    scaled = {name: scaler.transform(values) for name, values in flat.items()}
    best: dict[str, Any] = {"macro_f1": 0.0}
    # The strength of the penalty is chosen in favour of the linear model.
    for strength in (0.001, 0.01, 0.1):
        scores: dict[str, list[np.ndarray]] = {"val": [], "test": []}
        for column in range(len(ABNORMALITIES)):
            model = LogisticRegression(C=strength, max_iter=60, tol=0.01)
            with_warnings_off(model.fit, scaled["train"], splits["train"][1][:, column])
            for name, found in scores.items():
                found.append(model.decision_function(scaled[name]))
        result = judged({name: np.stack(found, axis=1) for name, found in scores.items()}, splits)
        if result["macro_f1"] > best["macro_f1"]:
            best = {"penalty": strength, **result}
    return best


def with_warnings_off(call: Any, *arguments: Any) -> Any:
    """Call a fit that may stop before it converges: more steps only overfit here."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


def judged(scores: dict[str, np.ndarray], splits: dict[str, Split]) -> dict[str, Any]:
    """Return F1 a finding on the test split, with thresholds that are best on the validation split."""
    findings = {}
    for column, finding in enumerate(ABNORMALITIES):
        tried = np.unique(scores["val"][:, column])
        truth = splits["val"][1][:, column]
        threshold = max(tried, key=lambda value: f1(scores["val"][:, column] >= value, truth))
        findings[finding] = f1(scores["test"][:, column] >= threshold, splits["test"][1][:, column])
    return {
        "macro_f1": round(float(np.mean(list(findings.values()))), 4),
        "f1": {finding: round(value, 3) for finding, value in findings.items()},
    }


def f1(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the harmonic mean of precision and recall."""
    return float(2 * (found & truth).sum() / max(1, found.sum() + truth.sum()))


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width_in: int, width_out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width_out),
            nn.ReLU(),
            nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width_out),
        )
        self.shortcut = (
            nn.Sequential(nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out))
            if stride > 1 or width_in != width_out
            else nn.Identity()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same or half the size."""
        return torch.relu(self.body(maps) + self.shortcut(maps))


class Network(nn.Module):
    """ResNet-18 at half width on each view; the views' pooled features decide together."""

    def __init__(self, findings: int, width: int = 32):
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = [nn.Conv2d(1, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(3, 2, 1))
        before = width
        for stage, after in enumerate(widths):
            layers += [Block(before, after, 1 if stage == 0 else 2), Block(after, after, 1)]
            before = after
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(4 * before, findings)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return one logit a finding for images (studies, views, side, side)."""
        studies, views = pictures.shape[:2]
        maps = self.trunk(pictures.flatten(0, 1).unsqueeze(1).contiguous(memory_format=torch.channels_last)).float()
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
        logits: Tensor = self.head(pooled.reshape(studies, views * pooled.shape[1]))
        return logits


def network_scores(splits: dict[str, Split], epochs: int) -> dict[str, Any]:
    """Train the residual network and return its F1 a finding."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = Network(len(ABNORMALITIES)).to(memory_format=torch.channels_last)
    pictures, truth = splits["train"]
    batch = 32
    steps = len(pictures) // batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * steps, pct_start=0.2)
    started = time.perf_counter()
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for chosen in rng.permutation(len(pictures))[: steps * batch].reshape(steps, batch):
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(prepared(pictures[chosen], rng))
            loss = nn.functional.binary_cross_entropy_with_logits(
                logits.float(), torch.from_numpy(truth[chosen]).float()
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        sys.stderr.write(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.perf_counter() - started:.0f} s\n")
    seconds = time.perf_counter() - started
    scores = {name: predicted(network, splits[name][0]) for name in ("train", "val", "test")}
    result = judged(scores, splits)
    result["average_loss"] = round(total / steps, 4)
    return {"epochs": epochs, "seconds": round(seconds), **result}


def prepared(pictures: np.ndarray, rng: np.random.Generator | None) -> Tensor:
    """Scale to about -1 to 1 and, in training, shift each view by a few pixels."""
    scaled = torch.from_numpy(pictures).float() / 127.5 - 1
    if rng is None:
        return scaled
    padded = nn.functional.pad(scaled, (MARGIN,) * 4, mode="replicate")
    side = scaled.shape[-1]
    moved = torch.empty_like(scaled)
    for study, view in np.ndindex(scaled.shape[:2]):
        down, right = rng.integers(0, 2 * MARGIN + 1, 2)
        moved[study, view] = padded[study, view, down : down + side, right : right + side]
    return moved


@torch.inference_mode()
def predicted(network: Network, pictures: np.ndarray) -> np.ndarray:
    """Return logits (studies, findings)."""
    network.eval()
    with torch.autocast("cpu", torch.bfloat16):
        parts = [
            network(prepared(part, None)).float() for part in np.array_split(pictures, max(1, len(pictures) // 64))
        ]
    return torch.cat(parts).numpy()


if __name__ == "__main__":
    main()
