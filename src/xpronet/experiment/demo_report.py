"""The first report: a drawn study, what the model that comes with the package writes about it, and a page of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpronet.deploy.demo_model import DEMO
from xpronet.deploy.load import load
from xpronet.errors import InputError
from xpronet.files import new_folder, write_json
from xpronet.generation.report import Report
from xpronet.images.read import write_grey
from xpronet.labels.findings import collapse
from xpronet.phantom.draw_views import POSITIONS
from xpronet.phantom.make_corpus import Phantom, PhantomSettings, draw_phantom
from xpronet.phantom.plan import plan_studies
from xpronet.phantom.record import Instance
from xpronet.show.page import PageStudy, write_page
from xpronet.training.training_data import DRAWN

VIEWS = {"PA": "frontal.png", "LATERAL": "lateral.png"}
"""File of each view, in the order of views."""
PAGE, JSON = "report.html", "report.json"
IMAGE_SIZE = 128
"""Side of the drawn images in pixels, as of those that the model learned from."""
SEED = 2022
"""Of the study that is drawn where no other is asked for; no study that the model learned from has it."""


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """A drawn study and what was written about it."""

    drawn: Phantom
    """The study."""
    report: Report
    """What the model wrote, with evidence."""
    page: Path
    """The page that shows both."""
    views: tuple[Path, ...]
    """The images, to try the model on."""

    def lines(self) -> list[str]:
        """Return in a few lines what is drawn, what the model saw and what it wrote."""
        present = [finding for finding in self.report.findings if finding.present]
        seen = ", ".join(f"{finding.name} {finding.probability:.2f}" for finding in present)
        return [
            f"Drawn:  {', '.join(_drawn(self.drawn.record)) or 'nothing abnormal'}",
            f"Seen:   {seen or 'nothing abnormal'}",
            f"Report: {self.report.text}",
            *self.report.doubts(),
        ]


def draw_demo_study(seed: int = SEED) -> Phantom:
    """Draw a study of the kind that the model learned from.

    Raises:
        InputError: the seed is negative.
    """
    settings = PhantomSettings(seed=seed, prevalence="balanced", size=IMAGE_SIZE)
    [(present, _)] = plan_studies(1, settings.prevalence, seed)
    return draw_phantom(present, 0, settings)


def write_demo_report(out: Path, *, seed: int = SEED, overwrite: bool = False) -> DemoReport:
    """Draw a study and write its images and a report about it, as a page and as JSON, into a folder.

    Args:
        out: folder to write; one that an earlier call wrote is replaced.
        seed: of the drawing.
        overwrite: replace the folder whatever it holds.

    Raises:
        InputError: the folder holds something else, or the seed is negative.
    """
    if out.is_dir() and {path.name for path in out.iterdir()} <= {*VIEWS.values(), PAGE, JSON}:
        overwrite = True
    elif out.exists() and not overwrite:
        raise InputError(f"{out}: holds something other than an earlier demo; choose another --out")
    drawn = draw_demo_study(seed)
    model = load(DEMO)
    images = tuple(drawn.views[position][0] for position in POSITIONS)
    report = model.report(images, study_id=f"drawn study, seed {seed}")
    assert report.images is not None
    shown = PageStudy(
        report=report,
        views=tuple(report.images),
        positions=POSITIONS,
        reference=drawn.report,
        reference_findings=tuple(name for name, present in collapse(drawn.states).items() if present),
    )
    with new_folder(out, overwrite=overwrite) as temporary:
        for image, name in zip(images, VIEWS.values(), strict=True):
            write_grey(temporary / name, image)
        write_json(temporary / JSON, report.answer(model=model.fingerprint))
        note = f"{DRAWN} Hover over a word, or reach it with the keyboard, to see where the model looked."
        write_page(temporary / PAGE, [shown], title="A report about a drawn chest X-ray", note=note)
    return DemoReport(drawn=drawn, report=report, page=out / PAGE, views=tuple(out / name for name in VIEWS.values()))


def _drawn(record: Mapping[str, tuple[Instance, ...]]) -> list[str]:
    """Return each finding that is drawn, with its extent and place."""
    lines = []
    for name, instances in record.items():
        places = {" ".join(filter(None, (each.severity, each.side, each.zone, each.kind))) for each in instances}
        told = ", ".join(sorted(place for place in places if place))
        lines.append(f"{name} ({told})" if told else name)
    return lines
