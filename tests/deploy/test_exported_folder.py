"""What does not fit is refused in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.cli import run as run_command
from xpronet.deploy.exported_folder import read_exported
from xpronet.deploy.load import load, model_fingerprint
from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import GATE_FILE, fingerprint, is_exported
from xpronet.model.out_of_distribution import WARNING


@pytest.fixture
def copied(onnx_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(onnx_folder, tmp_path / "copied"))


def test_a_run_runs_on_pytorch_alone(tiny_run: Path) -> None:
    assert not is_exported(tiny_run)
    assert not is_exported(tiny_run / "no such folder")
    with pytest.raises(InputError, match=r"--runtime openvino needs an exported folder; .*--to openvino --out"):
        load(tiny_run, beams=3, runtime="openvino")
    with pytest.raises(InputError, match=r"--to onnx --out"):
        load(tiny_run, beams=3, runtime="onnxruntime")


@pytest.mark.slow
def test_a_folder_says_where_it_is_from(onnx_folder: Path, tiny_run: Path) -> None:
    checkpoint, exported = load_checkpoint(tiny_run), read_exported(onnx_folder)
    assert model_fingerprint(onnx_folder) == fingerprint(tiny_run)
    for name in ("images", "max_views", "search", "findings", "thresholds", "per_finding"):
        assert getattr(exported, name) == getattr(checkpoint, name)
    assert exported.vocabulary.record() == checkpoint.vocabulary.record()


@pytest.mark.slow
def test_a_runtime_must_fit_the_folder(onnx_folder: Path, copied: Path) -> None:
    with pytest.raises(InputError, match="has no PyTorch network"):
        load(onnx_folder, beams=3, runtime="torch")
    with pytest.raises(InputError, match="fp32 alone"):
        load(onnx_folder, beams=3, precision="bf16")
    with pytest.raises(InputError, match="an exported folder"):
        load_checkpoint(onnx_folder)
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "format": "openvino"}))
    with pytest.raises(InputError, match="which onnxruntime does not read"):
        load(copied, beams=3, runtime="onnxruntime")


@pytest.mark.slow
@pytest.mark.parametrize("key", ["layers", "images", "search", "model", "gate", "training"])
def test_a_damaged_description_is_told(copied: Path, key: str) -> None:
    config = json.loads((copied / "config.json").read_text())
    del config[key]
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="damaged exported folder"):
        read_exported(copied)


@pytest.mark.slow
def test_a_folder_has_the_gate_of_its_checkpoint(
    onnx_folder: Path, gated_run: Path, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    black, answers = tmp_path / "black.png", (tmp_path / "exported.json", tmp_path / "torch.json")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(black)
    for folder, answer in zip((onnx_folder, gated_run), answers, strict=True):
        assert run_command(["report", str(folder), str(black), "--json", str(answer)]) == 0
        assert WARNING in capsys.readouterr().err
        assert run_command(["report", str(folder), str(black), "--strict"]) == 2
    exported, whole = map(read_json, answers)
    assert exported["warnings"] == whole["warnings"]
    assert exported["gate"][0]["score"] == pytest.approx(whole["gate"][0]["score"], rel=1e-3)
    (copied / GATE_FILE).write_bytes(b"no tensors")
    assert run_command(["report", str(copied), str(black)]) == 2
    assert GATE_FILE in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_of_another_version_is_told(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "version": 1}))
    with pytest.raises(InputError, match="not an exported folder of version 3; export it again"):
        read_exported(copied)


@pytest.mark.slow
def test_a_damaged_graph_is_told(copied: Path) -> None:
    from xpronet.deploy.engines import make_engine

    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    whole = (copied / "look.onnx").read_bytes()
    for contents in (b"", b"no graph", whole[: len(whole) // 2]):
        (copied / "look.onnx").write_bytes(contents)
        with pytest.raises(InputError, match="not a complete ONNX graph"):
            make_engine(read_exported(copied), "onnxruntime", threads=1).run("look", {})
    (copied / "look.onnx").unlink()
    with pytest.raises(InputError, match="not a complete ONNX graph"):
        make_engine(read_exported(copied), "onnxruntime", threads=1).run("look", {})
