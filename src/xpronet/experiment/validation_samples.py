"""A few validation reports with attention maps, shown by TensorBoard while a model is trained."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from xpronet.data.corpus import Corpus
from xpronet.data.study import Study
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.generation.report import Report
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view
from xpronet.training.tensorboard import Sample

NUM_SAMPLES = 4


def sample_reports(generator: ReportGenerator, corpus: Corpus, studies: Sequence[Study]) -> list[Sample]:
    """Generate reports about the first studies, each with its words' mean attention over the first view."""
    few = list(studies[:NUM_SAMPLES])
    reports = list(write_reports(generator, corpus, few, batch=len(few), with_evidence=True))
    return [_sample(generator, corpus, study, report) for study, report in zip(few, reports, strict=True)]


def _sample(generator: ReportGenerator, corpus: Corpus, study: Study, report: Report) -> Sample:
    text = f"**{study.id}**\n\ngenerated: {report.text}\n\nreference: {study.report}"
    if not report.words:
        return Sample(text=text)
    view = test_view(read_grey(corpus.view_path(study.views[0])), generator.checkpoint.images)
    attention = np.mean([word.attention[0] for word in report.words], axis=0)
    return Sample(text=text, attention=_shade(view, attention))


def _shade(view: UInt8[np.ndarray, "height width"], attention: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """Return the view, darker where the attention is lower."""
    height, width = view.shape
    shares = Image.fromarray((attention / max(float(attention.max()), 1e-9)).astype(np.float32))
    smooth = np.asarray(shares.resize((width, height), Image.Resampling.BILINEAR))
    shaded: np.ndarray = (view * (0.25 + 0.75 * smooth)).astype(np.uint8)
    return shaded
