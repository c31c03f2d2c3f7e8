"""Reports about large corpora: in parts, by many, resumable, in order, in bounded memory."""

import dataclasses
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from xpronet.cli import run as xpronet
from xpronet.data.corpus import Corpus, open_corpus, read_corpus_header, write_corpus
from xpronet.data.dataset import Shard
from xpronet.errors import InputError
from xpronet.files import read_json_lines, write_json_lines
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import predictions
from xpronet.generation.settings import GenerationSettings
from xpronet.generation.shards import PredictionShards, read_shard
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.search_settings import BeamSettings

SETTINGS = GenerationSettings(batch_size=4)


@pytest.fixture(scope="module")
def generator(tiny_run: Path) -> ReportGenerator:
    return ReportGenerator(
        load_checkpoint(tiny_run), device=torch.device("cpu"), settings=BeamSettings(beams=1, max_words=8)
    )


@pytest.fixture(scope="module")
def expected(generator: ReportGenerator, phantom: Corpus) -> list[dict[str, Any]]:
    return list(predictions(generator, phantom, phantom.split("train"), batch=4))


def parts_of(out: Path, generator: ReportGenerator, folder: Path, **changes: Any) -> PredictionShards:
    return PredictionShards(
        out,
        **{
            "model": "a",
            "corpus": read_corpus_header(folder),
            "split": "train",
            "generator": generator,
            "part_size": 8,
            **changes,
        },
    )


def finished(parts: PredictionShards) -> list[dict[str, Any]]:
    parts.join(overwrite=False)
    assert not parts.folder.exists()
    return read_json_lines(parts.out)


def texts(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["id"], record["report"]) for record in records]


def test_parts_make_what_one_pass_makes(
    generator: ReportGenerator, phantom_folder: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    parts = parts_of(tmp_path / "out.jsonl", generator, phantom_folder)
    parts.begin(overwrite=False)
    assert parts.write(Shard(), SETTINGS) == len(expected) > 8
    assert finished(parts) == expected


def test_a_run_that_was_killed_goes_on_and_keeps_what_it_had(
    generator: ReportGenerator, phantom_folder: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    begun = 0

    def stop_in_the_second_part(items: Iterable[Any], description: str, total: int) -> Iterable[Any]:
        nonlocal begun
        begun += 1
        for number, item in enumerate(items):
            if begun == 2 and number == 1:
                raise KeyboardInterrupt
            yield item

    first = parts_of(tmp_path / "out.jsonl", generator, phantom_folder)
    first.begin(overwrite=False)
    with pytest.raises(KeyboardInterrupt):
        first.write(Shard(), SETTINGS, track=stop_in_the_second_part)
    assert {path.name for path in first.folder.iterdir()} == {"parts.json", "part-00000000-00000008.jsonl"}
    kept = (first.folder / "part-00000000-00000008.jsonl").stat()
    again = parts_of(tmp_path / "out.jsonl", generator, phantom_folder)
    again.begin(overwrite=False)
    assert again.num_missing() == len(expected) - 8 == 20
    # With another number of processes than before.
    written = [again.write(Shard(number=number, of=3), SETTINGS) for number in range(3)]
    assert written == [1, 9, 10]
    assert (first.folder / "part-00000000-00000008.jsonl").stat() == kept
    assert texts(finished(again)) == texts(expected)


def test_parts_of_something_else_are_never_mixed_in(
    generator: ReportGenerator, phantom_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    first = parts_of(out, generator, phantom_folder)
    first.begin(overwrite=False)
    first.write(Shard(of=2), SETTINGS)
    for changes in ({"model": "b"}, {"split": "val"}):
        with pytest.raises(InputError, match=r"parts of other predictions.*--overwrite"):
            parts_of(out, generator, phantom_folder, **changes).begin(overwrite=False)
    other = parts_of(out, generator, phantom_folder, model="b")
    other.begin(overwrite=True)
    assert [path.name for path in other.folder.iterdir()] == ["parts.json"]
    out.write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        first.begin(overwrite=False)
    assert out.read_text() == "mine"


def test_shards_are_joined_by_the_command_without_shard(
    tiny_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def generate(out: str, *more: str) -> str:
        where = ("--corpus", str(phantom_folder), "--out", str(tmp_path / out), "--beams", "1", "--split", "train")
        assert xpronet(["generate", str(tiny_run), *where, "--part-size", "8", "--batch-size", "8", *more]) == 0
        return capsys.readouterr().out

    generate("one.jsonl")
    assert "reports still missing: 14" in generate("many.jsonl", "--shard", "1/2")
    assert "reports still missing: 0" in generate("many.jsonl", "--shard", "2/2")
    assert not (tmp_path / "many.jsonl").exists()
    generate("many.jsonl")
    assert texts(read_json_lines(tmp_path / "many.jsonl")) == texts(read_json_lines(tmp_path / "one.jsonl"))
    assert {path.name for path in tmp_path.iterdir()} >= {"one.jsonl", "many.jsonl"}
    assert not list(tmp_path.glob("*.parts"))


@pytest.mark.parametrize("count", [1, 3, 8, 28, 40])
def test_any_number_of_studies_is_divided_evenly(
    count: int, generator: ReportGenerator, phantom_folder: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    parts = parts_of(tmp_path / "out.jsonl", generator, phantom_folder, part_size=1024)
    parts.begin(overwrite=False)
    written = [parts.write(Shard(number=number, of=count), SETTINGS) for number in range(count)]
    assert sum(written) == len(expected)
    assert max(written) - min(written) <= 1
    # The batches are others than in one process, and so are the last digits of probabilities.
    assert texts(finished(parts)) == texts(expected)


def test_parts_that_overlap_are_joined_once(
    generator: ReportGenerator, phantom_folder: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    parts = parts_of(tmp_path / "out.jsonl", generator, phantom_folder)
    parts.begin(overwrite=False)
    # What jobs leave that were started at the same time with different numbers of shards.
    for start, stop in ((0, 10), (4, 6), (7, 21), (21, 28)):
        write_json_lines(parts.folder / f"part-{start:08d}-{stop:08d}.jsonl", expected[start:stop])
    assert parts.num_missing() == 0
    assert finished(parts) == expected


@pytest.mark.parametrize("wrong", ["3", "0/2", "3/2", "a/b", "1/", "-1/2"])
def test_a_wrong_shard_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match=f"--shard {wrong}: write which of how many"):
        read_shard(wrong)


def test_a_mistake_leaves_no_folder(generator: ReportGenerator, phantom_folder: Path, tmp_path: Path) -> None:
    parts = parts_of(tmp_path / "out.jsonl", generator, phantom_folder, split="none")
    parts.begin(overwrite=False)
    with pytest.raises(InputError, match="no study in split 'none'"):
        parts.write(Shard(), SETTINGS)
    parts.clear_if_empty()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(generator: ReportGenerator, phantom_folder: Path, tmp_path: Path) -> None:
    def peak(num_studies: int) -> int:
        folder = tmp_path / str(num_studies)
        pattern = open_corpus(phantom_folder).studies[0]
        for view in pattern.views:
            (folder / view.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(phantom_folder / view.path, folder / view.path)
        # A long text that the model does not read, so that held studies would be seen.
        sections = {"history": "x" * 100_000}
        studies = (
            dataclasses.replace(pattern, id=f"study-{number}", split="test", sections=sections)
            for number in range(num_studies)
        )
        write_corpus(folder, studies, name="many", licence="none", made={})
        parts = parts_of(tmp_path / f"{num_studies}.jsonl", generator, folder, split="test")
        tracemalloc.start()
        parts.begin(overwrite=False)
        parts.write(Shard(), SETTINGS)
        parts.join(overwrite=False)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(read_json_lines(parts.out)) == num_studies
        return highest

    peak(8)  # what is loaded once
    small, large = peak(16), peak(96)
    assert large < small + 500_000, "80 more studies of 100 kB each would be 8 MB"


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_write_what_one_does(tiny_run: Path, phantom_folder: Path, tmp_path: Path) -> None:
    def generate(out: str, *launcher: str) -> subprocess.CompletedProcess[str]:
        where = ("--corpus", phantom_folder, "--out", tmp_path / out, "--beams", "1", "--split", "train")
        command = (sys.executable, "-m", *launcher, "xpronet", "generate", tiny_run, *where, "--part-size", "8")
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)

    one = generate("one.jsonl")
    assert one.returncode == 0, one.stderr
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    two = generate("two.jsonl", *torchrun)
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("Wrote") == 1
    assert texts(read_json_lines(tmp_path / "two.jsonl")) == texts(read_json_lines(tmp_path / "one.jsonl"))
    again = generate("two.jsonl", *torchrun)
    assert again.returncode == 1
    assert again.stderr.count("xpronet: ") == 1
    assert "already exists" in again.stderr


def test_files_are_read_line_by_line(tmp_path: Path) -> None:
    write_json_lines(tmp_path / "lines.jsonl", [1, {"a": 2}])
    from xpronet.files import each_json_line

    lines = each_json_line(tmp_path / "lines.jsonl")
    assert next(lines) == 1
    assert list(lines) == [{"a": 2}]
    (tmp_path / "bad.jsonl").write_text("1\n{\n")
    with pytest.raises(InputError, match=r"bad\.jsonl, line 2: not JSON"):
        list(each_json_line(tmp_path / "bad.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes(b'"\xe9"\n')
    for name, told in (("none", "no such file"), ("latin", "not UTF-8")):
        with pytest.raises(InputError, match=told):
            list(each_json_line(tmp_path / f"{name}.jsonl"))
