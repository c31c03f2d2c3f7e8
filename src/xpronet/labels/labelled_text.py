"""Which of a study's texts is labelled."""

from collections.abc import Iterable, Iterator, Sequence

from xpronet.data.study import Study
from xpronet.errors import InputError

REPORT = "report"


def labelled_texts(studies: Iterable[Study], sections: Sequence[str] = (REPORT,)) -> Iterator[tuple[str, str]]:
    """Yield id and text of each study.

    Args:
        studies: whose texts are wanted.
        sections: the first of these that a study has is its text; "report" is the text to be learned, other names are
            those of the source's sections, and "findings+impression" is both, one after the other.

    Raises:
        InputError: some studies have none of the sections; the message has the count and the first three.
    """
    without: list[str] = []
    for study in studies:
        text = next((text for section in sections if (text := _text(study, section)) is not None), None)
        if text is None:
            without.append(study.id)
        else:
            yield study.id, text
    if without:
        first = ", ".join(without[:3]) + (", ..." if len(without) > 3 else "")
        raise InputError(
            f"{len(without)} studies ({first}) have no section {' or '.join(map(repr, sections))}; "
            f"name another to fall back on, such as --section {REPORT}"
        )


def _text(study: Study, section: str) -> str | None:
    """Return a section, or several joined; None where the study lacks one of them."""
    texts = [study.report if name == REPORT else study.sections.get(name, "") for name in section.split("+")]
    if section != REPORT and not all(texts):
        return None
    return "\n".join(texts)
