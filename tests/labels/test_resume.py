from collections.abc import Iterable, Iterator

import pytest

from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.resume import label_resumably

TEXTS = [(f"s{number}", f"text {number}") for number in range(6)]


class Slow:
    """Labels two at a time, and stops where it is told to."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.stop_at = stop_at
        self.labelled: list[str] = []

    def label_many(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, State]]]:
        waiting = []
        for study_id, text in texts:
            waiting.append((study_id, text))
            if len(waiting) == 2:
                yield from self.done(waiting)
                waiting = []
        yield from self.done(waiting)

    def done(self, texts):
        for study_id, text in texts:
            if study_id == self.stop_at:
                raise KeyboardInterrupt
            self.labelled.append(study_id)
            yield study_id, states(text)


def states(text: str) -> dict[str, State]:
    return dict.fromkeys(FINDINGS, State.NOT_MENTIONED) | {"Edema": list(State)[len(text) % 2]}


EXPECTED = [(study_id, states(text)) for study_id, text in TEXTS]


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    kept = tmp_path / "kept"
    first = Slow(stop_at="s3")
    with pytest.raises(KeyboardInterrupt):
        list(label_resumably(first.label_many, TEXTS, kept, "slow"))
    assert first.labelled == ["s0", "s1", "s2"]
    second = Slow()
    assert list(label_resumably(second.label_many, TEXTS, kept, "slow")) == EXPECTED
    assert second.labelled == ["s3", "s4", "s5"]
    third = Slow()
    assert list(label_resumably(third.label_many, TEXTS, kept, "slow")) == EXPECTED
    assert third.labelled == []


def test_another_labeler_or_another_text_is_labelled_anew(tmp_path):
    kept = tmp_path / "kept"
    list(label_resumably(Slow().label_many, TEXTS, kept, "slow"))
    other = Slow()
    assert list(label_resumably(other.label_many, TEXTS, kept, "other")) == EXPECTED
    assert len(other.labelled) == 6
    edited = [*TEXTS[:5], ("s5", "another text")]
    again = Slow()
    list(label_resumably(again.label_many, edited, kept, "slow"))
    assert again.labelled == ["s5"]


def test_a_line_cut_off_by_a_kill_is_done_again(tmp_path):
    kept = tmp_path / "kept"
    list(label_resumably(Slow().label_many, TEXTS, kept, "slow"))
    kept.write_bytes(kept.read_bytes()[:-10])
    again = Slow()
    assert list(label_resumably(again.label_many, TEXTS, kept, "slow")) == EXPECTED
    assert again.labelled == ["s5"]
    assert kept.read_text().count("\n") == 6
