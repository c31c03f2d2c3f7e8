import csv
import gzip
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS, NO_FINDING, SCHEMAS, State
from xpronet.labels.label_tables import label_matrix, read_labels, write_labels

all_states = st.fixed_dictionaries({name: st.sampled_from(State) for name in FINDINGS})


def table_text(rows: list[dict[str, str]], header: list[str] | None = None) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, header or ["study_id", *FINDINGS], restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def refusal(path: Path, ids: list[str], schema: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_labels(path, ids, schema)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name == name.strip()), all_states, min_size=1))
def test_what_is_written_is_read(tmp_path, labels):
    labels = {study_id.replace("\r", "r").replace("\n", "n"): states for study_id, states in labels.items()}
    labels = {key: states for key, states in labels.items() if key.strip() == key and "\0" not in key}
    if not labels or any(0xD800 <= ord(letter) < 0xE000 for key in labels for letter in key):
        return
    path = tmp_path / "labels.csv"
    write_labels(path, labels.items(), overwrite=True)
    assert read_labels(path, list(labels)) == labels


def test_columns_join_by_name_in_any_order_and_others_are_passed_over(tmp_path):
    path = tmp_path / "labels.csv"
    header = ["split", *reversed(FINDINGS), "study_id", "remark"]
    rows = [{"study_id": "a", "Edema": "1", "Fracture": "-1", "Pneumonia": "0", "split": "val", "remark": "9"}]
    path.write_text(table_text(rows, header), encoding="utf-8")
    states = read_labels(path, ["a"])["a"]
    assert tuple(states) == FINDINGS
    assert states["Edema"] is State.POSITIVE
    assert states["Fracture"] is State.UNCERTAIN
    assert states["Pneumonia"] is State.NEGATIVE
    assert states["Atelectasis"] is State.NOT_MENTIONED


def test_mimic_cxr_jpg_table_joins_studies_with_and_without_s(tmp_path):
    path = tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz"
    header = ["subject_id", "study_id", *SCHEMAS["mimic-cxr-jpg"]]
    rows = [
        {"subject_id": "10", "study_id": "500", "Edema": "1.0", NO_FINDING: ""},
        {"subject_id": "11", "study_id": "501", "Edema": "-1.0", "Pneumonia": "0.0"},
    ]
    path.write_bytes(gzip.compress(table_text(rows, header).encode()))
    labels = read_labels(path, ["s501", "500"])
    assert list(labels) == ["s501", "500"]
    assert labels["s501"]["Edema"] is State.UNCERTAIN
    assert labels["500"]["Edema"] is State.POSITIVE


def test_chexpert_table_has_a_row_a_picture(tmp_path):
    path = tmp_path / "train.csv"
    study = "CheXpert-v1.0/train/patient00001/study1"
    header = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *SCHEMAS["chexpert"]]
    rows = [{"Path": f"{study}/view{view}.jpg", "Edema": "1.0"} for view in (1, 2)]
    path.write_text(table_text(rows, header), encoding="utf-8")
    assert read_labels(path, [study])[study]["Edema"] is State.POSITIVE
    rows[1]["Edema"] = "0.0"
    path.write_text(table_text(rows, header), encoding="utf-8")
    assert "1 studies" in refusal(path, [study])


def test_missing_studies_are_counted_and_named(tmp_path):
    path = tmp_path / "labels.csv"
    write_labels(path, [("a", {})])
    message = refusal(path, ["a", "b", "c", "d", "e"])
    assert "4 of 5 studies (b, c, d, ...)" in message


def test_unknown_and_missing_finding_names(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(table_text([], ["study_id", "Oedema", *FINDINGS[:4], *FINDINGS[5:]]), encoding="utf-8")
    message = refusal(path, [])
    assert "1 of 14 findings (Edema)" in message
    assert "'Oedema'" in message


@pytest.mark.parametrize("value", ["2", "yes", "nan", "1,0"])
def test_a_value_that_is_none(tmp_path, value):
    path = tmp_path / "labels.csv"
    rows = [{"study_id": name, "Edema": value} for name in "abcd"]
    path.write_text(table_text(rows), encoding="utf-8")
    assert f"4 studies ({value!r} for a, {value!r} for b, {value!r} for c, ...)" in refusal(path, ["a"])


def test_a_study_that_stands_twice(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(table_text([{"study_id": "a"}, {"study_id": "b"}, {"study_id": "a"}]), encoding="utf-8")
    assert "1 studies (a) stand twice" in refusal(path, ["b"])
    with pytest.raises(InputError, match="study a comes twice"):
        write_labels(tmp_path / "new.csv", [("a", {}), ("a", {})])
    assert not (tmp_path / "new.csv").exists()


def test_a_column_that_stands_twice(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(",".join(["study_id", *FINDINGS, "Edema"]) + "\n", encoding="utf-8")
    assert "1 columns (Edema) stand twice" in refusal(path, [])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.csv", None, "no such file"),
        ("empty.csv", b"", "lacks 14"),
        ("latin.csv", b"study_id,\xe9\n", "not UTF-8"),
        ("short.csv", (",".join(["study_id", *FINDINGS]) + "\na,1\n").encode(), "line 2: 2 values under 15 columns"),
        ("noid.csv", (",".join(FINDINGS) + "\n").encode(), "study_id"),
        ("quote.csv", b'study_id,"a\nb', "not CSV"),
        ("broken.csv.gz", b"not gzip", "cannot be read"),
        (
            "cut.csv.gz",
            gzip.compress((",".join(["study_id", *FINDINGS]) + "\n").encode(), mtime=0)[:-12],
            "cannot be read",
        ),
    ],
)
def test_broken_files(tmp_path, name, content, told):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert told in refusal(path, [])


def test_writing_refuses_other_names_and_what_is_there(tmp_path):
    path = tmp_path / "labels.csv"
    with pytest.raises(InputError, match="1 labels \\(Oedema\\)"):
        write_labels(path, [("a", {"Oedema": State.POSITIVE})])
    assert write_labels(path, [("a", {"Edema": State.POSITIVE})]) == 1
    with pytest.raises(InputError, match="--overwrite"):
        write_labels(path, [])


def test_a_pickle_joins_by_the_schema_it_is_given(tmp_path):
    path = tmp_path / "labels_14.pickle"
    iu, mimic = SCHEMAS["published-iu-xray"], SCHEMAS["published-mimic-cxr"]
    values = np.zeros(14)
    values[iu.index("Edema")] = 1
    values[iu.index("Fracture")] = np.nan
    path.write_bytes(pickle.dumps({"CXR1_IM-0001": values}))
    assert read_labels(path, ["CXR1_IM-0001-0001"], "published-iu-xray")["CXR1_IM-0001-0001"]["Edema"] is State.POSITIVE
    other = read_labels(path, ["CXR1_IM-0001"], "published-mimic-cxr")["CXR1_IM-0001"]
    assert other[mimic[iu.index("Edema")]] is State.POSITIVE
    assert "say its schema" in refusal(path, ["CXR1_IM-0001"])
    path.write_bytes(pickle.dumps({"a": np.array([7] * 14), "b": [1, 0]}))
    assert "2 studies (a, b)" in refusal(path, ["a"], "chexbert")


def test_a_schema_beside_named_columns_is_refused(tmp_path):
    path = tmp_path / "labels.csv"
    write_labels(path, [("a", {})])
    assert "leave the schema" in refusal(path, ["a"], "chexbert")


def test_label_matrix():
    labels = {"a": {"Edema": State.UNCERTAIN}, "b": {"Fracture": State.POSITIVE}}
    matrix = label_matrix(labels, ["b", "a", "b"])
    assert matrix.shape == (3, 14)
    assert matrix[:, FINDINGS.index("Fracture")].tolist() == [1, 0, 1]
    assert matrix[:, FINDINGS.index("Edema")].tolist() == [0, 1, 0]
    assert np.isnan(label_matrix(labels, ["a"], "ignore")[0, FINDINGS.index("Edema")])
    assert label_matrix(labels, []).shape == (0, 14)
