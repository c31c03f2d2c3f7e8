import base64
import hashlib
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.errors import InputError
from xpronet.generation.report import FindingScore, PrototypeUse, Report, WordEvidence
from xpronet.images.data_uri import image_uri
from xpronet.labels.findings import FINDINGS
from xpronet.show.page import PageStudy, evidence_record, write_page

TOKENS = ["the", "heart", "is", "enlarged", ".", "no", "effusion", "."]
WARNING = "Research software, not a medical device. A draft, never a diagnosis."
ORACLE = "ORACLE LABELS: the findings were read from the reference report."


class Page(HTMLParser):
    """What a browser would make of the page: elements with attributes and the text inside each kind."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []  # every element that was opened was closed

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        return "".join(text for tag, text in self.texts if tag not in ("script", "style"))

    def inside(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()]

    def data(self) -> list[dict]:
        return [json.loads(text) for text in self.inside("script") if text.startswith("{")]


def words(tokens: list[str], num_views: int = 2, side: int = 7) -> tuple[WordEvidence, ...]:
    rng = np.random.default_rng(len(tokens))
    grids = rng.dirichlet(np.ones(num_views * side * side), size=len(tokens)).astype(np.float32)
    uses = tuple(PrototypeUse(finding="Edema", index=index, weight=0.1) for index in range(10))
    return tuple(
        WordEvidence(text=token, log_probability=-0.5, attention=grid.reshape(num_views, side, side), prototypes=uses)
        for token, grid in zip(tokens, grids, strict=True)
    )


def study(name="study-a", *, text="The heart is enlarged. No effusion.", labels_from="predicted", **more) -> PageStudy:
    rng = np.random.default_rng(0)
    scores = tuple(
        FindingScore(name=finding, probability=0.9 if finding == "Cardiomegaly" else 0.125, threshold=0.5,
                     present=finding == "Cardiomegaly")
        for finding in FINDINGS
    )  # fmt: skip
    report = Report(
        id=name,
        text=text,
        findings=more.pop("findings", scores),
        labels_from=labels_from,
        log_probability=-3.25,
        words=more.pop("words", ()),
    )
    size = more.pop("size", 32)
    views = tuple(rng.integers(0, 256, (size, size), dtype=np.uint8) for _ in range(2))
    return PageStudy(report=report, views=views, positions=("PA", None), **more)


def write(path: Path, *studies: PageStudy, **more) -> Page:
    write_page(path, studies, title=more.pop("title", "Drafts"), **more)
    return Page(path)


def test_a_study_is_shown_whole(tmp_path: Path):
    page = write(
        tmp_path / "page.html",
        study(words=words(TOKENS), reference="No effusion.\nRibs intact.", reference_findings=("Cardiomegaly",)),
        title="Drafts of today",
        summary=[("BLEU-4", "0.30 (0.29–0.31)")],
        note="A note.",
    )
    for part in ("study-a", "PA", "View 2", "0.30 (0.29–0.31)", "A note.", "Ribs intact.", "−3.25", WARNING):
        assert part in page.text
    assert "The heart is enlarged. No effusion." in page.text
    assert page.inside("title") == ["Drafts of today"]
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert [image["alt"] for image in images] == ["PA view of study study-a", "View 2 view of study study-a"]
    assert ORACLE not in page.text


def test_findings_say_in_words_what_bars_show(tmp_path: Path):
    page = write(tmp_path / "page.html", study(reference_findings=("Edema",)))
    rows = [" ".join(row.split()) for row in re.findall(r"<tr.*?</tr>", page.source, re.DOTALL)]
    cells = {
        row[0]: row[2:]  # past the bar
        for row in ([re.sub("<[^>]*>", "", cell).strip() for cell in re.split("</t[hd]>", row)[:-1]] for row in rows)
    }
    assert cells["Cardiomegaly"] == ["0.90", "0.50", "✓ yes", "no"]
    assert cells["Edema"] == ["0.12", "0.50", "no", "✓ yes"]
    assert set(FINDINGS) <= set(cells)


@pytest.mark.parametrize(
    ("labels_from", "column", "source"),
    [
        ("predicted", "Present", "Findings predicted from the images"),
        ("reference", "Given", "Findings read from the reference report"),
        ("all", "Visible", "All prototypes were visible"),
    ],
)
def test_the_page_says_where_findings_came_from(tmp_path: Path, labels_from: str, column: str, source: str):
    page = write(tmp_path / "page.html", study(labels_from=labels_from))
    assert column in page.inside("th")
    assert source in page.text
    assert (ORACLE in page.text) == (labels_from == "reference")


def test_a_model_without_findings_head_shows_those_of_the_reference(tmp_path: Path):
    assert "no findings head" in write(tmp_path / "none.html", study(findings=())).text
    page = write(tmp_path / "some.html", study(findings=(), reference_findings=("Fracture",)))
    assert "Fracture" in page.inside("th")
    assert "Edema" not in page.text


def test_every_word_points_at_its_evidence(tmp_path: Path):
    evidence = words(TOKENS)
    page = write(tmp_path / "page.html", study(words=evidence))
    spans = page.with_class("word")
    assert [span["id"] for span in spans] == [f"s1w{number}" for number in range(1, len(TOKENS) + 1)]
    (data,) = page.data()
    read = np.array([word["attention"] for word in data["words"]]) / data["parts"]
    told = np.stack([word.attention for word in evidence]).reshape(len(TOKENS), 2, 49)
    assert np.abs(read - told).max() <= 0.5e-5 + 1e-9


def test_without_evidence_the_text_is_plain(tmp_path: Path):
    page = write(tmp_path / "page.html", study(text="the heart is enlarged ."))
    assert page.with_class("word") == page.data() == page.with_class("evidence") == []
    assert "the heart is enlarged ." in page.text  # as the model wrote it


def test_what_both_reports_say_is_marked_in_both(tmp_path: Path):
    page = write(tmp_path / "page.html", study(reference="No effusion. That the heart is small."))
    drafts, references = re.findall(r'<p class="text">(.*?)</p>', page.source, re.DOTALL)
    marked = re.compile(r'<mark class="(\w+)">(.*?)</mark>')
    assert marked.findall(drafts) == [("phrase", "The heart is"), ("sentence", "No effusion.")]
    assert marked.findall(references) == [("sentence", "No effusion."), ("phrase", "the heart is")]


def test_nothing_a_user_gave_becomes_markup(tmp_path: Path):
    attack = """<script>alert(1)</script><img src=x onerror="alert(1)">'"</style></title>&amp;"""
    tokens = [attack, "</script>", "<!--", "."]
    uses = (PrototypeUse(finding=attack, index=0, weight=1.0),)
    evil = tuple(
        WordEvidence(text=word.text, log_probability=-1.0, attention=word.attention, prototypes=uses)
        for word in words(tokens)
    )
    score = FindingScore(name=attack, probability=0.5, threshold=0.5, present=True)
    more = {"reference": attack, "reference_findings": (attack,), "findings": (score,)}
    harmless = write(
        tmp_path / "harmless.html",
        *[study(words=words(["a"]), reference="a b c. d")] * 4,
        summary=[("a", "b")],
        note="a",
    )
    page = write(
        tmp_path / "page.html",
        *[study(attack, text=attack, **more), study(attack, words=evil, **more)] * 2,
        title=attack,
        summary=[(attack, attack)],
        note=attack,
    )
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements}
    scripts = [attributes.get("type") for tag, attributes in page.elements if tag == "script"]
    assert scripts == ["application/json", "application/json", None]
    assert len([tag for tag, _ in page.elements if tag == "img"]) == 8
    assert not any(name.startswith("on") or name == "style" for _, given in page.elements for name in given)
    assert page.inside("title") == [attack]
    assert page.text.count(attack) >= 4 * 4
    assert page.data()[0]["findings"] == [attack]


def test_the_page_reaches_for_nothing_outside_it(tmp_path: Path):
    page = write(tmp_path / "page.html", *[study(words=words(TOKENS), reference="No effusion.")] * 5)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|\beval\b", page.source)
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_allows_this_style_and_script_only(tmp_path: Path):
    page = write(tmp_path / "page.html", study(words=words(TOKENS)))
    (policy,) = [given["content"] for _, given in page.elements if given.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    (style,) = re.findall(r"<style>(.*?)</style>", page.source, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    for rule, content in (("style-src", style), ("script-src", script)):
        assert len(content) > 1000
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy


@pytest.mark.parametrize(("count", "links"), [(3, 0), (4, 4)])
def test_many_studies_have_a_table_of_contents(tmp_path: Path, count: int, links: int):
    page = write(tmp_path / "page.html", *[study(f"s{number}") for number in range(count)])
    targets = [given["href"] for tag, given in page.elements if tag == "a"]
    assert len(targets) == links
    names = [given["id"] for _, given in page.elements if given.get("id")]
    assert len(names) == len(set(names))
    assert {target.removeprefix("#") for target in targets} <= set(names)


def test_labels_point_at_what_is_there(tmp_path: Path):
    page = write(tmp_path / "page.html", *[study(reference="a", words=words(TOKENS))] * 4)
    names = {given["id"] for _, given in page.elements if given.get("id")}
    labels = {given["aria-labelledby"] for _, given in page.elements if given.get("aria-labelledby")}
    assert labels
    assert labels <= names


def test_a_page_that_is_there_is_kept(tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="already exists"):
        write(path, study())
    assert path.read_text(encoding="utf-8") == "mine"
    write(path, study(), overwrite=True)
    assert "study-a" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_without_studies_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="at least one study"):
        write(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_eight_studies_of_incompressible_pictures_stay_below_three_megabytes(tmp_path: Path):
    tokens = (TOKENS * 8)[:60]
    path = tmp_path / "page.html"
    write_page(path, [study(words=words(tokens), size=224, reference="a")] * 8, title="Drafts")
    assert 1_000_000 < path.stat().st_size < 3_000_000


def test_views_and_positions_must_agree():
    with pytest.raises(AssertionError):
        PageStudy(report=study().report, views=(), positions=("PA",))


def evidence(text: str, attention: np.ndarray, *uses: PrototypeUse) -> WordEvidence:
    return WordEvidence(text=text, log_probability=math.log(0.25), attention=attention, prototypes=uses)


def explained(*words: WordEvidence) -> Report:
    return Report(id="a", text="", findings=(), labels_from="predicted", log_probability=-1.0, words=words)


def test_an_image_survives_its_uri_to_the_pixel():
    grey = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    head, data = image_uri(grey).split(",")
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


def test_views_that_pad_the_batch_are_left_out():
    grid = np.stack([np.full((2, 2), 0.25, np.float32), np.zeros((2, 2), np.float32)])
    assert evidence_record(explained(evidence("heart", grid)), 1)["words"][0]["attention"] == [[25_000] * 4]


def test_an_image_without_attention_is_a_bug():
    with pytest.raises(AssertionError):
        evidence_record(explained(evidence("heart", np.full((1, 2, 2), 0.25, np.float32))), 2)


def test_regions_of_findings_are_shares_of_the_evidence_for_them():
    grids = np.array([[[0.5, -1.0], [0.25, 0.0]], [[0.25, 0.0], [0.0, -0.5]]])
    scores = [
        FindingScore(name=name, probability=0.5, threshold=0.5, present=True, regions=regions)
        for name, regions in (("Edema", grids), ("Fracture", -np.abs(grids)), ("Cardiomegaly", None))
    ]
    report = replace(explained(evidence("heart", np.full((2, 2, 2), 0.125, np.float32))), findings=tuple(scores))
    assert evidence_record(report, 2)["regions"] == {"Edema": [[50_000, 0, 25_000, 0], [25_000, 0, 0, 0]]}
    assert evidence_record(report, 1)["regions"] == {"Edema": [[66_667, 0, 33_333, 0]]}
