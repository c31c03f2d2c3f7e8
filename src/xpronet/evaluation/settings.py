"""How predictions are scored."""

from dataclasses import dataclass
from typing import Literal

from xpronet.labels.findings import Uncertain


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How predictions are scored, and what is asked of the model behind them."""

    protocol: Literal["full-text", "published-iu", "published-mimic"] = "full-text"
    """Form of the texts that is compared; the published ones give scores comparable with the field's."""
    truth: Literal["reference", "corpus"] = "reference"
    """Read the true findings from the references, or take them from the corpus's labels.csv."""
    labeler: str = "rules"
    """Reads the findings of references and reports: rules, chexbert, or python:package.module:object."""
    weights: str | None = None
    """Of CheXbert or an outside labeler: a file, or "hub:owner/name/FILE"."""
    bert: str | None = None
    """Folder with BERT's config.json and words for CheXbert; by default that of the weights."""
    uncertain: Uncertain = "positive"
    """What findings that the labeler calls uncertain count as; the published evaluation counts them as present."""
    probe: bool = False
    """Let the model generate again, from other, blank and mirrored images: what it loses is what the images are worth
    to it."""
    probe_studies: int | None = None
    """Probe and ground so many studies, drawn at random; by default all."""
    grounding: bool = False
    """Compare where the model looks with where the findings are, in a corpus that knows it (phantom)."""
    allow_code: bool = False
    """Let the checkpoint behind the predictions name Python objects of installed packages."""
    seed: int = 0
    """Of resamples and random baselines."""
    metric: tuple[str, ...] = ()
    """Metrics beside the built-in ones: radgraph, bertscore, ratescore, green, crimson or radeval:NAME, each with
    =WEIGHTS where the package's own shall not be fetched; or python:package.module:object of an installed package."""
    skip_meteor: bool = False
    """Leave METEOR out, and with it the seconds that Java takes."""
    skip_retrieval: bool = False
    """Leave out the reports of the most similar train images, and with them a pass over all of those."""
    force: bool = False
    """Compare what was measured differently all the same: a label table of another labeler, or two scorecards."""
