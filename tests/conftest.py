"""What many tests share: outside data, a drawn corpus, a tiny trained run."""

import dataclasses
import os
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.experiment.recipe import Recipe, make_recipe
from xpronet.experiment.run import train_run
from xpronet.generation.fit_gate import fit_run_gate
from xpronet.labels.findings import FINDINGS
from xpronet.launch import THREADS_VARIABLE
from xpronet.model.out_of_distribution import GateSettings
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom

SHARED = Path(__file__).parents[2] / "shared"

TINY_RECIPE = """
[images]
size = 64
short_side = 64
[vocabulary]
min_count = 1
max_words = 40
[batches]
size = 8
[backbone]
depth = 18
width = 8
[text]
width = 8
[prototypes]
per_finding = 4
restarts = 1
[model]
width = 16
feed_forward = 16
heads = 2
layers = 1
gamma = 3
[train]
epochs = 2
seed = 1
[generate]
max_words = 40
"""
"""A network of a few thousand parameters: everything is there, nothing is good."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Keep sums in one order: results do not depend on how many cores a machine has, here and in what is started."""
    os.environ[THREADS_VARIABLE] = "1"
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"no real data beside the checkout ({SHARED.name}/ is absent)")
    return SHARED


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn corpus with labels; read it, don't write to it."""
    folder = tmp_path_factory.mktemp("phantom") / "corpus"
    make_phantom(folder, PhantomSettings(studies=40, seed=3, prevalence="balanced", size=64))
    return folder


@pytest.fixture(scope="session")
def phantom(phantom_folder: Path) -> Corpus:
    """The small drawn corpus, read."""
    return open_corpus(phantom_folder)


@pytest.fixture(scope="session")
def tiny_recipe(phantom_folder: Path) -> Recipe:
    """A recipe that trains on the small corpus in seconds."""
    recipe = make_recipe(tomllib.loads(TINY_RECIPE), where="tiny recipe")
    return dataclasses.replace(recipe, corpus=str(phantom_folder))


@pytest.fixture(scope="session")
def tiny_recipe_text() -> str:
    """The tiny recipe as text, without a corpus."""
    return TINY_RECIPE


@pytest.fixture
def tiny_recipe_file(tmp_path: Path) -> Path:
    """The tiny recipe as a file, without a corpus."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_RECIPE)
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained by the tiny recipe; read it, don't write to it."""
    run = tmp_path_factory.mktemp("tiny") / "run"
    train_run(tiny_recipe, run)
    return run


@pytest.fixture(scope="session")
def gated_run(tiny_run: Path, phantom: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run with a gate from a few images: it knows a black one from films; read it, don't write to it."""
    run = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("gated") / "run", symlinks=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xpronet.model.out_of_distribution.FEWEST", 2)
        fit_run_gate(run, phantom, GateSettings(quantile=1.0, margin=1.0))
    return run


CHEXBERT_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "pneumo", "##thorax", "effusion", "enlarged"]
CHEXBERT_WORDS = [
    *CHEXBERT_PIECES,
    "no",
    "small",
    "large",
    "left",
    "right",
    "pleural",
    "heart",
    "is",
    "normal",
    "the",
    "opacity",
    "acute",
]


@pytest.fixture(scope="session")
def tiny_chexbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with BERT's configuration and words, and random weights in the published layout."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("chexbert")
    (folder / "vocab.txt").write_text("\n".join(CHEXBERT_WORDS) + "\n", encoding="utf-8")
    config = BertConfig(
        vocab_size=len(CHEXBERT_WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
        initializer_range=0.8,
    )
    config.save_pretrained(folder)
    torch.manual_seed(0)
    bert = BertModel(config)
    heads = nn.ModuleList(nn.Linear(16, 2 if name == "No Finding" else 4) for name in FINDINGS)
    weights = {f"module.bert.{name}": tensor for name, tensor in bert.state_dict().items()}
    weights |= {f"module.linear_heads.{name}": tensor for name, tensor in heads.state_dict().items()}
    weights["module.bert.embeddings.position_ids"] = torch.arange(40).unsqueeze(0)
    torch.save({"epoch": 8, "model_state_dict": weights}, folder / "chexbert.pth")
    return folder
