from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from xpronet.errors import InputError
from xpronet.labels.chexbert import ChexbertLabeler, ChexbertSettings, _batches
from xpronet.labels.findings import FINDINGS, NO_FINDING, State

REPORTS = [
    "No pleural effusion.",
    "The heart is enlarged.",
    "Small left pleural effusion,\n small right pneumothorax. The heart is normal.",
    "",
    "opacity " * 60,
    "No acute disease.",
    "Left opacity. No pneumothorax.",
]


def one_at_a_time(folder: Path, report: str) -> dict[str, State]:
    """CheXbert as its paper has it, without batches, masks or our loading."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    weights = torch.load(folder / "chexbert.pth", weights_only=True)["model_state_dict"]
    bert = BertModel(BertConfig.from_pretrained(folder)).eval()
    prefix = "module.bert."
    bert.load_state_dict(
        {name[len(prefix) :]: tensor for name, tensor in weights.items() if name.startswith(prefix)}, strict=False
    )
    pieces = AutoTokenizer.from_pretrained(folder)(report)["input_ids"]
    if len(pieces) > 40:
        pieces = [*pieces[:39], 3]
    with torch.no_grad():
        first = bert(torch.tensor([pieces])).last_hidden_state[0, 0]
    states = {}
    for number, name in enumerate(FINDINGS):
        head = f"module.linear_heads.{number}"
        index = int((weights[f"{head}.weight"] @ first + weights[f"{head}.bias"]).argmax())
        states[name] = [State.NOT_MENTIONED, State.POSITIVE, State.NEGATIVE, State.UNCERTAIN][index]
    return states


@pytest.fixture(scope="module")
def labeler(tiny_chexbert: Path) -> ChexbertLabeler:
    return ChexbertLabeler(ChexbertSettings(weights=str(tiny_chexbert / "chexbert.pth"), word_pieces=50))


def test_batches_of_any_make_up_agree_with_one_at_a_time(labeler, tiny_chexbert):
    expected = [one_at_a_time(tiny_chexbert, report) for report in REPORTS]
    assert len({tuple(states.values()) for states in expected}) > 2, "the weights should tell reports apart"
    assert list(labeler.label_many(enumerate_ids(REPORTS))) == list(zip(ids(REPORTS), expected, strict=True))
    assert labeler.label(REPORTS[2]) == expected[2]
    assert {states[NO_FINDING] for states in expected} <= {State.POSITIVE, State.NOT_MENTIONED}


def ids(reports: list[str]) -> list[str]:
    return [f"s{number}" for number in range(len(reports))]


def enumerate_ids(reports: list[str]) -> list[tuple[str, str]]:
    return list(zip(ids(reports), reports, strict=True))


def test_safetensors_without_prefix_and_bert_elsewhere(labeler, tiny_chexbert, tmp_path):
    weights = torch.load(tiny_chexbert / "chexbert.pth", weights_only=True)["model_state_dict"]
    path = tmp_path / "chexbert.safetensors"
    save_file({name.removeprefix("module."): tensor.clone() for name, tensor in weights.items()}, path)
    with pytest.raises(InputError, match="--bert"):
        ChexbertLabeler(ChexbertSettings(weights=str(path)))
    other = ChexbertLabeler(ChexbertSettings(weights=str(path), bert=str(tiny_chexbert)))
    assert list(other.label_many(enumerate_ids(REPORTS))) == list(labeler.label_many(enumerate_ids(REPORTS)))


def test_bf16_runs_and_mostly_agrees(labeler, tiny_chexbert):
    settings = ChexbertSettings(weights=str(tiny_chexbert / "chexbert.pth"), precision="bf16")
    low = dict(ChexbertLabeler(settings).label_many(enumerate_ids(REPORTS)))
    full = dict(labeler.label_many(enumerate_ids(REPORTS)))
    same = sum(low[name][finding] is full[name][finding] for name in full for finding in FINDINGS)
    assert same >= 0.9 * len(full) * len(FINDINGS)


def test_no_reports(labeler):
    assert list(labeler.label_many([])) == []


def changed(folder: Path, tmp_path: Path, change) -> Path:
    checkpoint = torch.load(folder / "chexbert.pth", weights_only=True)
    change(checkpoint["model_state_dict"])
    path = tmp_path / "changed.pth"
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda weights: weights.pop("module.linear_heads.13.bias"), "lacks 1 weights"),
        (lambda weights: weights.update({"module.linear_heads.14.bias": torch.zeros(4)}), "has unknown 1 weights"),
        (lambda weights: weights.update({"module.linear_heads.13.bias": torch.zeros(4)}), "other shapes for 1 weights"),
        (lambda weights: weights.update({"module.words": ["a"]}), "not a mapping"),
    ],
)
def test_weights_that_are_not_chexberts(tiny_chexbert, tmp_path, change, told):
    path = changed(tiny_chexbert, tmp_path, change)
    with pytest.raises(InputError, match=told):
        ChexbertLabeler(ChexbertSettings(weights=str(path), bert=str(tiny_chexbert)))


def test_files_that_are_no_weights(tiny_chexbert, tmp_path):
    path = tmp_path / "broken.pth"
    path.write_bytes(b"no weights")
    for weights, told in ((path, "cannot be read"), (tmp_path / "none.pth", "no such file")):
        with pytest.raises(InputError, match=told):
            ChexbertLabeler(ChexbertSettings(weights=str(weights), bert=str(tiny_chexbert)))


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))
def test_batches_hold_every_report_once_and_keep_within_bounds(lengths, word_pieces):
    batches = list(_batches(lengths, word_pieces))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= word_pieces
