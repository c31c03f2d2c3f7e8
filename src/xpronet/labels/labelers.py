"""The labelers by name, and what is done with one over a whole corpus."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.extensions import check_fulfils, is_outside, load_object
from xpronet.labels.conventions import ConventionName, named_conventions
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.label_tables import write_labels
from xpronet.labels.labelled_text import labelled_texts
from xpronet.labels.resume import label_resumably
from xpronet.labels.rules import Evidence, RuleLabeler
from xpronet.progress import Tracker, silent


@runtime_checkable
class Labeler(Protocol):
    """What reads the fourteen findings from reports."""

    @property
    def name(self) -> str:
        """Name the labeler and its weights beside what was made with it."""
        ...

    def label(self, report: str) -> dict[str, State]:
        """Return the state of all fourteen findings."""
        ...

    def label_many(self, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, dict[str, State]]]:
        """Yield the id and labels of each id and report, in order."""
        ...


def make_labeler(
    labeler: str,
    *,
    weights: str | None = None,
    bert: str | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    convention: ConventionName | None = None,
) -> Labeler:
    """Return a labeler by its name, ready to read.

    Args:
        labeler: rules, chexbert, or "python:package.module:object": a class or function that returns a `Labeler`. An
            outside one gets `weights` as a keyword argument where they are given.
        weights: of CheXbert or an outside labeler.
        bert: of CheXbert.
        precision: of CheXbert.
        convention: whose reading the rules follow where conventions differ; CheXpert's if left out.

    Raises:
        InputError: there is no such labeler, CheXbert without weights or with a convention, the rules with weights, or
            weights that cannot be read.
    """
    if is_outside(labeler):
        return _outside(labeler, {"weights": weights} if weights is not None else {})
    if labeler not in ("rules", "chexbert"):
        raise InputError(f"labeler {labeler!r}: choose rules, chexbert or python:package.module:object")
    if labeler == "rules":
        if weights is not None or bert is not None:
            raise InputError(
                "the rule labeler has no weights; leave --weights and --bert away or add --labeler chexbert"
            )
        return RuleLabeler(named_conventions(convention or "chexpert"))
    if convention is not None:
        raise InputError("CheXbert has learned its convention; leave --convention away or add --labeler rules")
    if weights is None:
        raise InputError("the labeler chexbert needs --weights: its .pth or .safetensors file, or hub:owner/name/FILE")
    from xpronet.device import best_device
    from xpronet.labels.chexbert import ChexbertLabeler, ChexbertSettings

    settings = ChexbertSettings(weights=weights, bert=bert, precision=precision, device=str(best_device()))
    return ChexbertLabeler(settings)


def _outside(name: str, options: dict[str, Any]) -> Labeler:
    labeler = load_object(name, what="labeler", allow_code=True)(**options)
    check_fulfils(labeler, Labeler, name=name, what="labeler")
    assert isinstance(labeler, Labeler)
    return labeler


def write_corpus_labels(
    labeler: Labeler,
    texts: Sequence[tuple[str, str]],
    path: Path,
    *,
    overwrite: bool = False,
    track: Tracker = silent,
) -> dict[str, Counter[State]]:
    """Label reports, write labels.csv, and return how often each finding got each state.

    A labeler slower than the rules keeps its work beside `path` while it runs, and goes on there after a stop.

    Args:
        labeler: what reads the reports.
        texts: ids and reports.
        path: the labels.csv to write.
        overwrite: replace it.
        track: shows how far the work is.

    Raises:
        InputError: `path` exists and `overwrite` is false.
    """
    counts: dict[str, Counter[State]] = {name: Counter() for name in FINDINGS}
    kept = path.with_name(f"{path.name}.unfinished")
    shown = track(texts, "Label", len(texts))
    slow = not isinstance(labeler, RuleLabeler)
    rows = label_resumably(labeler.label_many, shown, kept, labeler.name) if slow else labeler.label_many(shown)

    def counted() -> Iterator[tuple[str, dict[str, State]]]:
        for study_id, states in rows:
            for name, state in states.items():
                counts[name][state] += 1
            yield study_id, states

    write_labels(path, counted(), overwrite=overwrite)
    kept.unlink(missing_ok=True)
    return counts


def explained(
    corpus: Corpus, study_id: str, labeler: str, sections: Sequence[str], convention: ConventionName = "chexpert"
) -> tuple[dict[str, State], list[Evidence]]:
    """Return the rule labeler's states for one study of a corpus, and the evidence behind them.

    Raises:
        InputError: another labeler is asked for, or the corpus has no such study.
    """
    if labeler != "rules":
        raise InputError(f"the labeler {labeler} cannot tell why; --explain goes with --labeler rules")
    found = [study for study in corpus.studies if study.id == study_id]
    if not found:
        raise InputError(f"{corpus.folder}: no study {study_id!r}; it has {corpus.studies[0].id!r}, for one")
    ((_, report),) = labelled_texts(found, sections)
    rules = RuleLabeler(named_conventions(convention))
    return rules.label(report), rules.explain(report)


def unread(labeler: Labeler, texts: Iterable[tuple[str, str]]) -> list[str]:
    """Return the ids of the reports that do not seem to be in a language the labeler reads; CheXbert cannot tell."""
    if not isinstance(labeler, RuleLabeler):
        return []
    return [study_id for study_id, report in texts if not labeler.reads(report)]
