import pytest

from xpronet.data.study import Study
from xpronet.errors import InputError
from xpronet.labels.labelled_text import labelled_texts

STUDIES = [
    Study(id="a", split="train", views=(), report="R a", sections={"findings": "F a", "impression": "I a"}),
    Study(id="b", split="train", views=(), report="R b", sections={"findings": "F b", "impression": ""}),
]


@pytest.mark.parametrize(
    ("sections", "texts"),
    [
        (("report",), ["R a", "R b"]),
        (("impression", "report"), ["I a", "R b"]),
        (("findings+impression", "findings"), ["F a\nI a", "F b"]),
    ],
)
def test_the_first_section_that_a_study_has(sections, texts):
    assert list(labelled_texts(STUDIES, sections)) == list(zip("ab", texts, strict=True))


def test_a_study_without_any_is_no_study_without_findings():
    with pytest.raises(InputError, match=r"1 studies \(b\) have no section 'impression'"):
        list(labelled_texts(STUDIES, ("impression",)))
