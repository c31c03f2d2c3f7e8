"""Reports with doubt: sentences compared with the head, what is left out, and a guarantee that says what it covers."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.cli import run as run_command
from xpronet.data.corpus import Corpus
from xpronet.deploy.load import load
from xpronet.errors import InputError
from xpronet.evaluation.claim_scores import score_claims, simulate_splits
from xpronet.files import read_json
from xpronet.generation.beam import Hypothesis
from xpronet.generation.check_claims import ReportChecker, find_left_out, split_sentences, strongest_place
from xpronet.generation.checked_claims import Place
from xpronet.generation.report import Report
from xpronet.labels.findings import FINDINGS
from xpronet.labels.rules import RuleLabeler
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import CLAIMS_FILE
from xpronet.model.claim_calibration import ClaimCalibration
from xpronet.model.risk_control import RiskCurve
from xpronet.model.search_settings import BeamSettings
from xpronet.text.cleaning import readable
from xpronet.text.vocabulary import Phrase, VocabularySettings, build_vocabulary

TEXT = "no edema . a left fracture is seen . the patient is rotated ."
VOCABULARY = build_vocabulary([TEXT], VocabularySettings(min_count=1))
SEEN = {**dict.fromkeys(FINDINGS, 0.01), "Edema": 0.9, "Fracture": 0.8, "Pneumonia": 0.7}
HALF = dict.fromkeys(FINDINGS, 0.5)


def checker(**choices) -> ReportChecker:
    return ReportChecker(VOCABULARY, HALF, ClaimCalibration(**choices), RuleLabeler())


def hypothesis_of(text: str) -> Hypothesis:
    words = tuple(VOCABULARY.ids_of(text.split()))
    return Hypothesis(words, -1.0, tuple(-0.1 * number for number in range(len(words))))


def report_of(text: str, **choices) -> Report:
    shown = readable(text)
    sentences, left_out = checker(**choices).check(hypothesis_of(text), shown, SEEN, {}, ())
    return Report(
        id="a",
        text=shown,
        findings=(),
        labels_from="predicted",
        log_probability=-1.0,
        sentences=sentences,
        left_out=left_out,
    )


def test_each_sentence_has_its_claims_their_probability_and_a_verdict():
    report = report_of(TEXT)
    denial, fracture, rotated = report.sentences
    assert report.text[denial.start : denial.end] == "No edema."
    assert report.text[fracture.start : fracture.end] == "A left fracture is seen."
    assert (denial.verdict, fracture.verdict, rotated.verdict) == ("contradicted", "doubtful", "untestable")
    assert denial.probability == pytest.approx(0.1)
    assert fracture.probability == pytest.approx(0.8)
    assert denial.words == pytest.approx(-0.1)
    assert "Edema denied; seen with probability 0.90" in denial.reason
    assert [sentence.doubted for sentence in report.sentences] == [True, True, False]


def test_a_template_is_a_sentence_whose_words_share_its_probability():
    vocabulary = VOCABULARY.with_phrases([Phrase("<one>", "no edema ."), Phrase("<mark>", "")])
    one, mark = vocabulary.first_phrase, vocabulary.first_phrase + 1
    rest = vocabulary.ids_of(["a", "left", "fracture", "is", "seen", "."])
    hypothesis = Hypothesis((one, mark, *rest), -1.0, (-0.3, -0.5, *[-0.1] * len(rest)))
    checks = ReportChecker(vocabulary, HALF, ClaimCalibration(), RuleLabeler())
    sentences, _ = checks.check(hypothesis, vocabulary.text(hypothesis.words), SEEN, {}, ())
    assert [(claim.finding, claim.affirmed) for each in sentences for claim in each.claims] == [
        ("Edema", False),
        ("Fracture", True),
    ]
    assert [each.words for each in sentences] == pytest.approx([-0.3 / 3, (-0.5 - 0.6) / 6])


def test_what_is_seen_and_not_said_is_left_out_and_so_is_what_is_denied():
    report = report_of(TEXT)
    assert [(missing.finding, missing.denied) for missing in report.left_out] == [("Edema", True), ("Pneumonia", False)]
    place = Place(view=1, row=6, column=0, rows=7)
    states = RuleLabeler().label("")
    [edema, *_] = find_left_out(states, SEEN, HALF, {"Edema": place})
    assert edema.line == "Edema (0.90, view 1, lower left of the image)"


def test_place_is_the_region_that_adds_most():
    regions = np.zeros((2, 7, 7), np.float32)
    regions[1, 0, 6] = 2.0
    assert strongest_place(regions).words == "view 2, upper right of the image"


@given(st.lists(st.sampled_from([".", "a", "b"]), max_size=12))
def test_sentences_hold_every_word_once_and_end_with_their_full_stop(tokens):
    spans = split_sentences(tokens)
    held = [token for start, end in spans for token in tokens[start:end]]
    assert [token for token in held if token != "."] == [token for token in tokens if token != "."]
    assert all("." not in tokens[start : end - 1] for start, end in spans)


def test_a_report_keeps_its_doubt_as_json():
    report = report_of(TEXT)
    again = Report.from_record(json.loads(json.dumps(report.record())))
    assert [sentence.verdict for sentence in again.sentences] == [sentence.verdict for sentence in report.sentences]
    assert again.left_out == report.left_out


def test_the_guarantee_covers_what_reaches_its_threshold_and_abstains_otherwise():
    search = BeamSettings()
    curve = RiskCurve(thresholds=(0.5, 0.7, 0.95), bounds=(0.3, 0.1, 0.02), studies=99)
    checks = checker(curve=curve, search=search)
    report = report_of(TEXT)
    vouched = checks.vouch(report, 0.15, search)
    assert [sentence.vouched for sentence in vouched.sentences] == [False, True, None]
    assert vouched.guarantee is not None
    assert vouched.guarantee.note.startswith("1 of 2 claims vouched for")
    none = checks.vouch(report, 0.05, search)
    assert none.guarantee is not None
    assert none.guarantee.note == "no claim of this study can be vouched for at 0.05"
    with pytest.raises(InputError, match="another search"):
        checks.vouch(report, 0.15, dataclasses.replace(search, beams=7))
    with pytest.raises(InputError, match=r"allow no bound below 0\.0100"):
        checks.vouch(report, 0.001, search)
    with pytest.raises(InputError, match="run `xpronet calibrate"):
        checker().vouch(report, 0.15, search)


def test_calibrating_a_run_gives_its_reports_evidence_doubt_and_a_guarantee(
    gated_run: Path, phantom_folder: Path, phantom: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(gated_run, tmp_path / "run", symlinks=True))
    films = [str(phantom.view_path(view)) for view in phantom.split("train")[0].views]
    assert run_command(["report", str(run), *films, "--max-error", "0.2"]) == 2
    assert "run `xpronet calibrate" in capsys.readouterr().err
    calibrated = ["calibrate", str(run), "--corpus", str(phantom_folder), "--split", "train"]
    assert run_command([*calibrated, "--evidence", "0.5"]) == 0
    assert "weight of evidence 0.5" in capsys.readouterr().out
    checkpoint = load_checkpoint(run)
    assert checkpoint.search.evidence == 0.5
    assert checkpoint.claims is not None
    assert checkpoint.claims.curve is not None
    answer, page = tmp_path / "answer.json", tmp_path / "page.html"
    wanted = ["--json", str(answer), "--html", str(page)]
    assert run_command(["report", str(run), *films, "--max-error", "0.2", *wanted]) == 0
    assert "At most 0.2 false:" in capsys.readouterr().err
    record = read_json(answer)
    assert record["guarantee"]["max_error"] == 0.2
    assert "guarantee" in Report.from_record(record).record()
    assert record["guarantee"]["note"] in page.read_text()
    # A search that it was not calibrated for has no guarantee.
    assert run_command(["report", str(run), *films, "--max-error", "0.2", "--beams", "2"]) == 2
    assert "another search" in capsys.readouterr().err
    black = load(run, max_error=0.2).report(np.zeros((64, 64), np.uint8))
    assert black.guarantee is not None
    assert not black.guarantee.holds
    assert {sentence.vouched for sentence in black.sentences} <= {None}
    predictions = tmp_path / "predictions.jsonl"
    told = ["generate", str(run), "--corpus", str(phantom_folder), "--out", str(predictions), "--max-error", "0.2"]
    assert run_command(told) == 0
    capsys.readouterr()
    assert run_command(["evaluate", str(predictions), "--claims"]) == 0
    out = capsys.readouterr().out
    scores = score_claims(predictions)
    assert [one.studies for one in simulate_splits(predictions, 0.4, splits=3)] == [4, 4, 4]
    assert scores.curve[-1].shown == 1.0
    assert f"{scores.claims} claims" in out
    damaged = run / "checkpoints" / "best" / CLAIMS_FILE
    damaged.write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(run)
