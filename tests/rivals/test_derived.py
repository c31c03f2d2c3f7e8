"""What rivals derive from the train studies: templates, kinds of sentences, the graph; and what they refuse."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.model.build import derive_data
from xpronet.model.report_model import TrainStudies
from xpronet.model.settings import ModelSettings
from xpronet.rivals.graph_findings import adjacency, backward_adjacency, graph_record
from xpronet.rivals.templates import derive_templates, is_abnormal, meaning_of
from xpronet.text.vocabulary import VocabularySettings, build_vocabulary


def made(*reports: str, findings: np.ndarray | None = None) -> TrainStudies:
    return TrainStudies(
        reports=reports,
        findings=np.zeros((len(reports), len(FINDINGS)), bool) if findings is None else findings,
        names=FINDINGS,
        vocabulary=build_vocabulary(reports, VocabularySettings(min_count=1)),
    )


def derive(name: str, studies: TrainStudies, **options: object):
    return derive_data(ModelSettings(name=name, visible="none", options=options), studies)


def test_sentences_of_one_meaning_share_the_commonest_as_template():
    studies = made(
        "The lungs are clear. No pleural effusion.",
        "Lungs are clear. Moderate cardiomegaly.",
        "The lungs are clear. There is no pleural effusion.",
        "The trachea is midline. No pleural effusion.",
    )
    templates = derive_templates(studies, share=0.5, name="hrgr")
    assert [(each.text, each.reports) for each in templates.templates] == [
        ("no pleural effusion .", 3),
        ("the lungs are clear .", 3),
    ]
    assert templates.covered == 6 / 8
    derived = derive("hrgr", studies, template_share=0.5)
    assert (
        derived.vocabulary.decode(derived.encode(studies.reports[2])) == "the lungs are clear . no pleural effusion ."
    )
    assert (
        derived.vocabulary.decode(derived.encode(studies.reports[1])) == "the lungs are clear . moderate cardiomegaly ."
    )
    assert len(derived.encode(studies.reports[2])) == 4


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("no pneumothorax or pleural effusion .", (("Pleural Effusion", "Pneumothorax"), ("pleura",))),
        ("heart size is within normal limits .", ((), ("heart",))),
        ("moderate cardiomegaly .", None),
        ("possible pneumonia .", None),
        ("the trachea is midline .", None),
    ],
)
def test_the_meaning_of_a_sentence(sentence, meaning):
    found = meaning_of(sentence)
    assert is_abnormal(sentence) == ("cardiomegaly" in sentence or "pneumonia" in sentence)
    assert found == meaning if meaning is None or meaning[0] else found is not None and found[1] == meaning[1]


def test_marks_say_which_writer_writes_a_sentence():
    studies = made("The lungs are clear. Moderate cardiomegaly.", "No effusion. Heart size is normal.")
    derived = derive("cmas", studies)
    names = [
        derived.vocabulary.phrases[number - derived.vocabulary.first_phrase].name
        for number in derived.encode(studies.reports[0])
        if number >= derived.vocabulary.first_phrase
    ]
    assert names == ["<normal>", "<abnormal>"]
    assert derived.record["abnormal_sentences"] == 0.25
    assert derived.summary[1] == "Abnormal: 25.0% of the sentences of the train reports, in 50% of the reports"


def test_the_graph_counts_what_comes_together():
    findings = np.zeros((4, len(FINDINGS)), bool)
    edema, effusion = FINDINGS.index("Edema"), FINDINGS.index("Pleural Effusion")
    findings[:2, edema] = True
    findings[:3, effusion] = True
    record = graph_record(made(*["Edema. Effusion."] * 4, findings=findings), ["Edema", "Pleural Effusion"])
    assert record == {
        "nodes": ["Edema", "Pleural Effusion"],
        "columns": [edema, effusion],
        "studies": [2, 3],
        "given": [[0.75, 0.75], [0.6, 0.8]],
    }


def test_published_normalisation_leaves_nodes_without_edges_alone():
    nodes = ["Edema", "Pneumonia", "Fracture"]
    published, ours = adjacency(nodes, "published"), adjacency(nodes, "self-loops")
    assert not published[:, 3].any()
    assert not backward_adjacency(nodes, "published")[:, 0].any()
    assert published[1, 2] == 1
    assert ours[:, 3].any()
    assert (ours.diagonal() > 0).all()
    torch.testing.assert_close(ours[1, 2], torch.tensor(0.5))


@pytest.mark.parametrize("name", ["coat", "hrgr", "cmas", "sentsat_kg", "kerp"])
def test_the_record_is_json_and_the_same_each_time(name, studies):
    options = {"template_share": 0.1} if name in ("hrgr", "kerp") else {}
    first, again = derive(name, studies, **options), derive(name, studies, **options)
    assert json.loads(json.dumps(first.record)) == again.record
    assert first.vocabulary.record() == again.vocabulary.record()
    assert first.summary


TWO = ("The lungs are clear. Moderate cardiomegaly.", "No effusion. Heart size is normal.")


@pytest.mark.parametrize(
    ("name", "reports", "options", "line"),
    [
        ("coat", ("Clear.", "Edema."), {}, "no train report has two sentences"),
        ("ratchet", TWO, {}, None),
        ("hrgr", TWO, {"template_share": 0.9}, "no normal sentence is in so many of the train reports; the commonest"),
        ("kerp", TWO, {"template_share": 0.9, "nodes": ["No Finding"]}, "no normal sentence is in so many"),
        ("hrgr", TWO, {"template_share": 0.0}, "model.options.template_share = 0.0: must be a share"),
        ("hrgr", TWO, {"share": 0.1}, "unknown key model.options.share; it has template_share"),
        ("hrgr", TWO, {"template_share": "high"}, "model.options.template_share = 'high'; a value of type float"),
        ("cmas", TWO, {"tags": 1}, "unknown key model.options.tags; it has none"),
        ("coat", TWO, {"tags": 0}, "model.options.tags = 0: must be at least 1"),
        ("sentsat_kg", TWO, {"nodes": "Edema"}, "model.options.nodes = 'Edema'; a list is needed"),
        ("sentsat_kg", TWO, {"nodes": ["Gout"]}, "model.options.nodes: 'Gout' is no finding"),
        ("sentsat_kg", TWO, {"nodes": ["Fracture"]}, "no train study has Fracture; leave it out"),
        ("kerp", TWO, {"nodes": ["Fracture"]}, "no train study has Fracture; leave it out"),
        (
            "sentsat_kg",
            TWO,
            {"normalise": "rows"},
            "model.options.normalise = 'rows'; choose one of self-loops, published",
        ),
    ],
)
def test_what_cannot_be_derived_is_one_line(name, reports, options, line):
    findings = np.zeros((2, len(FINDINGS)), bool)
    findings[:, FINDINGS.index("No Finding")] = True
    studies = made(*reports, findings=findings)
    if line is None:
        assert derive(name, studies, **options) is None
        return
    with pytest.raises(InputError) as refused:
        derive(name, studies, **options)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_prototypes_are_refused(studies):
    settings = ModelSettings(name="coat")
    with pytest.raises(InputError, match="coat has no prototypes; set"):
        derive_data(settings, studies)
    with pytest.raises(InputError, match="no train study has any finding"):
        derive_data(
            dataclasses.replace(settings, name="sentsat_kg", visible="none"),
            dataclasses.replace(studies, findings=np.zeros_like(studies.findings)),
        )
