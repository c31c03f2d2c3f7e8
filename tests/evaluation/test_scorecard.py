import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from xpronet.cli import run
from xpronet.data.corpus import open_corpus, write_corpus
from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.evaluation import baselines
from xpronet.evaluation.comparison import compare_predictions
from xpronet.evaluation.constant_scores import find_constant_baselines
from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.prediction_files import Prediction
from xpronet.evaluation.render import comparison_view, constant_baselines_view, scorecard_markdown, scorecard_view
from xpronet.evaluation.scorecard import Scorecard
from xpronet.evaluation.scoring import RETRIEVAL, score
from xpronet.labels.findings import FINDINGS, State
from xpronet.labels.labelers import write_corpus_labels

Reports = Callable[[int, int], list[str]]
Predict = Callable[..., list[Prediction]]
TRAIN, VAL = 60, 20


def seen(view: RenderableType) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(view)
        return console.export_text()


@pytest.fixture(scope="module")
def perfect(reports_of: Reports, predict: Predict) -> Scorecard:
    references = reports_of(30, 1)
    return score(
        predict(references, references),
        train_reports=reports_of(TRAIN, 2),
        val=reports_of(VAL, 3),
        retrieved=references[::-1],
        with_meteor=False,
    )


@pytest.fixture(scope="module")
def constant(reports_of: Reports, predict: Predict) -> Scorecard:
    references = reports_of(30, 1)
    text = "The lungs are clear. The heart is normal in size. No pneumothorax."
    return score(
        predict([text] * 30, references, labels_from="reference"),
        train_reports=[*reports_of(TRAIN, 2), text],
        val=reports_of(VAL, 3),
        with_meteor=False,
    )


def test_a_perfect_model_is_beyond_every_constant(perfect: Scorecard) -> None:
    assert perfect.model.scores["BLEU-4"].value == pytest.approx(1.0, abs=1e-6)
    assert perfect.model.scores["macro-F1 of 13"].value == 1.0
    assert perfect.abnormal_studies == 10
    assert perfect.warnings == ()
    assert perfect.title == "Scorecard"
    assert perfect.language_lift is not None
    assert perfect.language_lift.scores["BLEU-4"].low > 0
    assert perfect.findings_lift is not None
    assert perfect.findings_lift.scores["macro-F1 of 13"].low > 0
    assert perfect.counts["distinct reports"] == perfect.counts["distinct references"]
    assert all(row.denied == row.invented == 0 for row in perfect.contradictions)


def test_every_baseline_stands_beside_it(perfect: Scorecard) -> None:
    rows = {row.name: row for row in perfect.baselines}
    assert list(rows) == [
        baselines.BEST_CONSTANT,
        baselines.BUILT_CONSTANT,
        baselines.FINDINGS_CONSTANT,
        baselines.ORACLE_CONSTANT,
        baselines.RANDOM_REPORT,
        baselines.TEMPLATE,
        baselines.COMMONEST,
        baselines.SHUFFLED,
        baselines.EVERYTHING,
        RETRIEVAL,
    ]
    oracle, honest = rows[baselines.ORACLE_CONSTANT], rows[baselines.BEST_CONSTANT]
    assert oracle.scores["BLEU-4"].value >= honest.scores["BLEU-4"].value
    everything = rows[baselines.EVERYTHING]
    assert "BLEU-4" not in everything.scores
    assert everything.scores["Pleural Effusion"].value > 0
    # The template is given the findings, and says them all.
    assert rows[baselines.TEMPLATE].scores["macro-F1 of 13"].value == 1.0
    assert rows[baselines.TEMPLATE].scores["BLEU-4"].value < 1.0
    chosen = rows[baselines.FINDINGS_CONSTANT].scores["macro-F1 of 13"].value
    assert chosen >= honest.scores["macro-F1 of 13"].value


def test_a_constant_is_called_one(constant: Scorecard) -> None:
    assert "ORACLE LABELS" in constant.title
    text = " ".join(constant.warnings)
    assert "one text for all studies" in text
    assert "one list of findings for all studies" in text
    assert "read from the references" in text
    assert "one and the same text" in text
    assert constant.counts["verbatim in train"] == 1.0
    effusion = next(row for row in constant.contradictions if row.finding == "Pneumothorax")
    assert effusion.denied == sum("right pneumothorax" in text for text in _references(constant))


def _references(card: Scorecard) -> list[str]:
    there = next(row for row in card.findings if row.finding == "Pneumothorax").present
    return ["There is a right pneumothorax."] * there


def test_without_train_reports_the_card_says_so(reports_of: Reports, predict: Predict) -> None:
    card = score(predict(reports_of(5, 1), reports_of(5, 2)), protocol="published-iu", with_meteor=False)
    assert card.language_lift is None
    assert [row.name for row in card.baselines] == [baselines.COMMONEST, baselines.SHUFFLED, baselines.EVERYTHING]
    assert any("No train reports" in warning for warning in card.warnings)
    assert any("Only 5 studies" in warning for warning in card.warnings)
    assert card.stamp["protocol"] == "published-iu"
    assert "no train reports" in card.stamp["rare words"]


def test_all_normal_studies_and_empty_reports(predict: Predict) -> None:
    card = score(predict(["", "The lungs are clear."], ["The lungs are clear."] * 2), with_meteor=False)
    assert card.abnormal_studies == 0
    assert card.model.abnormal == {}
    assert "macro-F1 of 13" not in card.model.scores  # nothing there, nothing named: undefined
    assert "1 reports are empty." in card.warnings
    json.dumps(card.to_dict(), allow_nan=False)
    seen(scorecard_view(card))


def test_findings_may_come_from_a_table(reports_of: Reports, predict: Predict) -> None:
    predictions = predict(["The lungs are clear."] * 4, ["The lungs are clear."] * 4)
    table = {row.id: dict.fromkeys(FINDINGS, State.NOT_MENTIONED) | {"Edema": State.POSITIVE} for row in predictions}
    card = score(predictions, truth=table, with_meteor=False)
    assert card.abnormal_studies == 4
    assert next(row for row in card.findings if row.finding == "Edema").present == 4
    assert card.stamp["findings"].startswith("label table of the corpus")


def test_without_a_corpus_the_other_half_of_the_studies_gives_the_constants(
    reports_of: Reports, predict: Predict
) -> None:
    references = reports_of(40, 1)
    card = score(predict(references, references), with_meteor=False)
    rows = {row.name: row for row in card.baselines}
    assert {baselines.BEST_CONSTANT, baselines.BUILT_CONSTANT, baselines.OTHER_REFERENCE} < set(rows)
    assert rows[baselines.ORACLE_CONSTANT].scores["BLEU-4"].value < 1.0
    assert "of the other half of the studies" in rows[baselines.BEST_CONSTANT].how
    assert card.language_lift is not None
    assert card.language_lift.scores["BLEU-4"].low > 0
    assert card.summary[0].startswith("Is this model better than one text for everybody? On wording, yes: BLEU-4 1.000")
    assert "abnormal studies, yes" in card.summary[0]
    assert card.summary[1].startswith("Do its reports fit their studies")
    assert any("constants come from the references of the other half" in warning for warning in card.warnings)
    for answer in card.summary:
        assert answer in scorecard_markdown(card)


def test_a_model_that_writes_one_text_sets_off_the_alarm(constant: Scorecard, perfect: Scorecard) -> None:
    assert perfect.collapse is None
    assert constant.collapse is not None
    assert constant.collapse.startswith("COLLAPSE")
    assert "1 distinct reports for 30 studies" in constant.collapse
    assert "the commonest is given to 100% of the studies" in constant.collapse
    assert "10 of 10 abnormal studies are described without any abnormal finding" in constant.collapse
    assert constant.collapse in scorecard_markdown(constant)
    assert "not shown" in constant.summary[0] or "no, worse" in constant.summary[0]


def test_various_reports_that_miss_what_is_abnormal_are_not_called_collapsed() -> None:
    predictions = [
        Prediction(id=str(number), report=f"No edema. View {number}.", reference=f"Edema. View {number}.")
        for number in range(12)
    ]
    alarm = score(predictions, with_meteor=False).collapse
    assert alarm is not None
    assert alarm.startswith("FINDINGS MISSED: the reports differ, but not with what is abnormal. 12 distinct reports")
    assert "12 of 12 findings that the references affirm are denied in words" in alarm


def test_references_of_other_studies_set_off_no_alarm(reports_of: Reports, predict: Predict) -> None:
    assert score(predict(reports_of(40, 5), reports_of(40, 6)), with_meteor=False).collapse is None


class Blind:
    """A labeler that sees edema everywhere."""

    name = "blind 1"

    def label(self, report: str) -> dict[str, State]:
        return dict.fromkeys(FINDINGS, State.NOT_MENTIONED) | {"Edema": State.UNCERTAIN}

    def label_many(self, texts):
        return ((study, self.label(report)) for study, report in texts)


def test_both_sides_are_read_by_the_labeler_that_is_named(reports_of: Reports, predict: Predict) -> None:
    predictions = predict(reports_of(12, 1), reports_of(12, 2))
    card = score(predictions, reader=FindingReader(Blind()), with_meteor=False)
    edema = next(row for row in card.findings if row.finding == "Edema")
    assert (edema.present, edema.predicted, edema.hits) == (12, 12, 12)
    assert "read by blind 1; uncertain counts as present" in card.stamp["findings"]
    absent = score(predictions, reader=FindingReader(Blind(), "negative"), with_meteor=False)
    assert next(row for row in absent.findings if row.finding == "Edema").present == 0
    assert "uncertain counts as absent" in absent.stamp["findings"]


def test_f1_as_the_field_prints_it(reports_of: Reports, predict: Predict) -> None:
    card = score(predict(reports_of(30, 5), reports_of(30, 6)), with_meteor=False)
    rows = {(row.findings, row.average): row for row in card.field_f1}
    assert len(rows) == 9
    assert rows["14", "micro"].f1 == pytest.approx(card.model.scores["micro-F1 of 14"].value)
    # Findings that neither side has count as nothing there, and not at all here.
    seen = [row for row in card.findings if row.finding != "No Finding" and row.f1 is not None]
    assert rows["13", "macro"].f1 == pytest.approx(card.model.scores["macro-F1 of 13"].value * len(seen) / 13)
    assert "F1 as other papers print it" in scorecard_markdown(card)


def test_nothing_to_score_is_refused(predict: Predict) -> None:
    with pytest.raises(InputError, match="no predictions"):
        score([])
    with pytest.raises(InputError, match="no word left"):
        score(predict(["a"], ["..."]), with_meteor=False)


def test_the_views_fit_eighty_columns_and_say_it_all(perfect: Scorecard, constant: Scorecard) -> None:
    for card in (perfect, constant):
        text = seen(scorecard_view(card))
        assert max(map(len, text.splitlines())) <= 80
        page = scorecard_markdown(card)
        for part in ("BLEU-4", "macro-F1 of 13", "Pleural Effusion", baselines.ORACLE_CONSTANT, card.title):
            assert part in text
            assert part in page
        for warning in card.warnings:
            assert warning in page
        assert "…" not in text
    record = json.loads(json.dumps(perfect.to_dict(), allow_nan=False))
    assert record["model"]["scores"]["BLEU-4"]["value"] == perfect.model.scores["BLEU-4"].value


def test_a_scorecard_quotes_no_report(perfect: Scorecard, reports_of: Reports) -> None:
    text = json.dumps(perfect.to_dict()) + scorecard_markdown(perfect)
    assert "heart is normal" not in text


def test_comparisons(reports_of: Reports, predict: Predict) -> None:
    references = reports_of(30, 1)
    good, bad = predict(references, references), predict(reports_of(30, 2), references, labels_from="all")
    comparison = compare_predictions(good, bad[::-1], names=("good", "bad"), with_meteor=False)
    assert comparison.differences["BLEU-4"].low > 0
    assert comparison.differences["BLEU-4"].p_value < 0.01
    assert comparison.differences["BLEU-4"].value == pytest.approx(
        comparison.first["BLEU-4"] - comparison.second["BLEU-4"]
    )
    assert "different sources" in comparison.warnings[0]
    text = seen(comparison_view(comparison))
    assert max(map(len, text.splitlines())) <= 80
    assert "<.001" in text


def test_the_trap_is_shown(reports_of: Reports) -> None:
    baselines = find_constant_baselines(
        reports_of(30, 1), train_reports=reports_of(TRAIN, 2), val_reports=reports_of(VAL, 3), with_meteor=False
    )
    assert [baseline.row.name.split()[0] for baseline in baselines] == ["train", "built", "ORACLE,"]
    assert baselines[2].row.scores["BLEU-4"].value >= baselines[1].row.scores["BLEU-4"].value
    assert "lungs are clear" in seen(constant_baselines_view(baselines, "published-iu", 30))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, reports_of: Reports) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    sizes = {"train": TRAIN, "val": VAL, "test": 30}
    studies = [
        Study(id=f"{split}{number}", split=split, views=(), report=report)
        for seed, (split, size) in enumerate(sizes.items())
        for number, report in enumerate(reports_of(size, seed))
    ]
    write_corpus(folder, studies, name="invented", licence="none", made={})
    return folder


def predictions_file(folder: Path, name: str, reports: list[str], split: str = "test") -> Path:
    path = folder / name
    rows = [{"id": f"{split}{number}", "report": report} for number, report in enumerate(reports)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_command_from_file_to_scorecard(
    corpus: Path, reports_of: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = predictions_file(tmp_path, "first.jsonl", reports_of(30, 2))
    second = predictions_file(tmp_path, "second.jsonl", reports_of(30, 9))
    out = tmp_path / "card.json"
    command = ["evaluate", str(first), "--corpus", str(corpus), "--skip-meteor", "--out", str(out)]
    assert run([*command, "--against", str(second)]) == 0
    printed = capsys.readouterr().out
    assert "corpus: invented" in printed
    assert "test, 30 of 30 studies" in printed
    assert "A - B" in printed
    record = json.loads(out.read_text())
    assert record["comparison"]["names"] == ["first.jsonl", "second.jsonl"]
    assert record["model"]["scores"]["BLEU-4"]["value"] == pytest.approx(1.0, abs=1e-6)
    assert out.with_suffix(".md").read_text().startswith("# Scorecard")
    assert run(command) == 2
    assert "already exists" in capsys.readouterr().err
    assert run([*command, "--overwrite"]) == 0
    assert "comparison" not in json.loads(out.read_text())


def test_the_command_refuses_in_one_line(
    corpus: Path, reports_of: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = reports_of(30, 2)
    good = predictions_file(tmp_path, "good.jsonl", reports)
    few = predictions_file(tmp_path, "few.jsonl", reports[:20])
    train = predictions_file(tmp_path, "train.jsonl", reports, split="train")
    stray = tmp_path / "stray.jsonl"
    stray.write_text(json.dumps({"id": "train0", "report": "a", "reference": "b"}))
    cases = {
        (str(good),): "name the --references or the --corpus",
        (str(good), "--truth", "corpus"): "or the --corpus",
        (str(train), "--corpus", str(corpus)): "--split",
        (str(stray), "--corpus", str(corpus)): "train0 is not in split test",
        (str(good), "--corpus", str(tmp_path)): "no corpus here",
        (str(good), "--corpus", str(corpus), "--truth", "corpus"): "labels.csv",
        (str(good), "--corpus", str(corpus), "--against", str(few)): "compare the same studies",
        (str(good), "--corpus", str(corpus), "--protocol", "mine"): "published-iu",
    }
    for arguments, complaint in cases.items():
        assert run(["evaluate", *arguments, "--skip-meteor"]) == 2, arguments
        message = capsys.readouterr().err
        assert complaint in message, arguments
        assert message.count("\n") == 1


def test_a_table_of_another_labeler_is_refused_without_force(
    corpus: Path, reports_of: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = tmp_path / "labelled"
    shutil.copytree(corpus, labelled)
    path = predictions_file(tmp_path, "good.jsonl", reports_of(30, 2))
    command = ["evaluate", str(path), "--corpus", str(labelled), "--truth", "corpus", "--skip-meteor"]
    write_corpus_labels(
        Blind(), [(study.id, study.report) for study in open_corpus(labelled).studies], labelled / "labels.csv"
    )
    assert run(command) == 2
    message = capsys.readouterr().err
    assert "so something else made it; read both sides with one labeler" in message
    assert message.count("\n") == 1
    assert run([*command, "--force"]) == 0
    assert "which agrees in" in " ".join(capsys.readouterr().out.split())
    assert run(["label", str(labelled), "--overwrite"]) == 0
    assert run(command) == 0


def test_a_corpus_with_a_test_split_alone_is_scored(
    corpus: Path, reports_of: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = [study for study in open_corpus(corpus).studies if study.split == "test"]
    alone = tmp_path / "alone"
    write_corpus(alone, tests, name="elsewhere", licence="none", made={})
    command = ["evaluate", str(predictions_file(tmp_path, "p.jsonl", reports_of(30, 9))), "--corpus", str(alone)]
    assert run([*command, "--skip-meteor"]) == 0
    assert "No train reports were given" in capsys.readouterr().out
    assert run([*command, "--skip-meteor", "--train-corpus", str(corpus)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "train corpus: invented" in printed
    assert "constants: from the train reports" in printed
    assert run([*command, "--train-corpus", str(alone)]) == 2
    assert "no study in split 'train'" in capsys.readouterr().err


def test_missing_studies_are_told(
    corpus: Path, reports_of: Reports, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = predictions_file(tmp_path, "few.jsonl", reports_of(30, 2)[:20])
    assert run(["evaluate", str(few), "--corpus", str(corpus), "--skip-meteor"]) == 0
    assert "10 studies of split test have no prediction" in capsys.readouterr().out


def test_the_trap_command(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["constants", str(corpus), "--skip-meteor"]) == 0
    assert "One text for all 30 studies" in capsys.readouterr().out
