import base64
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from xpronet.generation.report import FindingScore, PrototypeUse, Report, WordEvidence
from xpronet.show.overlay import evidence_record, picture_uri


def evidence(text: str, attention: np.ndarray, *uses: PrototypeUse) -> WordEvidence:
    return WordEvidence(text=text, log_probability=math.log(0.25), attention=attention, prototypes=uses)


def explained(*words: WordEvidence) -> Report:
    return Report(id="a", text="", findings=(), labels_from="predicted", log_probability=-1.0, words=words)


def test_a_picture_survives_its_uri_to_the_pixel():
    grey = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    head, data = picture_uri(grey).split(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.array(Image.open(io.BytesIO(base64.b64decode(data)))), grey)


def test_evidence_survives_json_to_a_thousandth_of_a_percent():
    rng = np.random.default_rng(1)
    grids = rng.dirichlet(np.ones(2 * 3 * 4), size=2).reshape(2, 2, 3, 4).astype(np.float32)
    use = PrototypeUse(finding="Edema", index=7, weight=0.31)
    other = PrototypeUse(finding="Cardiomegaly", index=0, weight=0.12)
    report = explained(evidence("heart", grids[0], use, other), evidence(".", grids[1]))
    record = json.loads(json.dumps(evidence_record(report, 2)))
    read = np.array([word["attention"] for word in record["words"]]).reshape(2, 2, 3, record["columns"])
    assert np.abs(read / record["parts"] - grids).max() <= 0.5e-5 + 1e-9
    assert [word["p"] for word in record["words"]] == [0.25, 0.25]
    named = [
        (record["findings"][finding], index, share / record["parts"])
        for finding, index, share in record["words"][0]["prototypes"]
    ]
    assert named == [("Edema", 7, 0.31), ("Cardiomegaly", 0, 0.12)]
    assert record["words"][1]["prototypes"] == []


def test_views_that_only_filled_the_batch_up_are_left_out():
    grid = np.stack([np.full((2, 2), 0.25, np.float32), np.zeros((2, 2), np.float32)])
    assert evidence_record(explained(evidence("heart", grid)), 1)["words"][0]["attention"] == [[25_000] * 4]


def test_a_picture_nobody_attended_to_is_our_mistake():
    with pytest.raises(AssertionError):
        evidence_record(explained(evidence("heart", np.full((1, 2, 2), 0.25, np.float32))), 2)


def test_regions_of_findings_are_shares_of_what_speaks_for_them():
    grids = np.array([[[0.5, -1.0], [0.25, 0.0]], [[0.25, 0.0], [0.0, -0.5]]])
    scores = [
        FindingScore(name=name, probability=0.5, threshold=0.5, present=True, regions=regions)
        for name, regions in (("Edema", grids), ("Fracture", -np.abs(grids)), ("Cardiomegaly", None))
    ]
    report = replace(explained(evidence("heart", np.full((2, 2, 2), 0.125, np.float32))), findings=tuple(scores))
    assert evidence_record(report, 2)["regions"] == {"Edema": [[50_000, 0, 25_000, 0], [25_000, 0, 0, 0]]}
    assert evidence_record(report, 1)["regions"] == {"Edema": [[66_667, 0, 33_333, 0]]}
