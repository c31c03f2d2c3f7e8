"""The models behind /openapi.json: what is uploaded and what is answered."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Grid = list[list[float]]
"""Values by row and column of a view's regions."""
Responses = dict[int | str, dict[str, Any]]


class Answer(BaseModel):
    """What all answers share: nothing in them is undocumented."""

    model_config = ConfigDict(extra="forbid")


class FindingAnswer(Answer):
    """How likely one finding is."""

    name: str = Field(description="One of the fourteen.")
    probability: float = Field(description="Of the finding being present.")
    threshold: float = Field(description="At and above it the finding counts as present.")
    present: bool
    regions: list[Grid] = Field([], description="By view: what each region adds to the logit before calibration.")


class PrototypeAnswer(Answer):
    """One prototype behind a word."""

    finding: str = Field(description="The finding that the prototype belongs to.")
    index: int = Field(description="Which of the finding's prototypes, from 0.")
    weight: float = Field(description="Its share of the response.")


class WordAnswer(Answer):
    """One word with its evidence."""

    text: str
    log_probability: float = Field(description="Natural logarithm of its probability given the words before it.")
    attention: list[Grid] = Field(description="By view: cross-attention on each region; sums to 1 over all views.")
    prototypes: list[PrototypeAnswer]
    language: float | None = Field(None, description="Its share that came from what had been written, if known.")


class GateAnswer(Answer):
    """How far one view is from the images that the model was trained on."""

    score: float
    threshold: float = Field(description="Views with a higher score are out of distribution.")


class PlaceAnswer(Answer):
    """The region that speaks most for a finding."""

    view: int = Field(description="Which of the views, from 1.")
    row: int = Field(description="Row of the region, from 0 at the top.")
    column: int = Field(description="Column of the region, from 0 at the left of the image.")
    rows: int = Field(description="Rows of a view's regions; as many columns.")


class ClaimAnswer(Answer):
    """What a sentence says of one finding."""

    finding: str
    affirmed: bool = Field(description="Whether it is said to be there, surely or perhaps; else it is denied.")
    probability: float = Field(description="That the claim is right.")
    head: float = Field(description="The findings head's probability that the finding is there.")
    place: PlaceAnswer | None
    prototypes: float | None = Field(description="Share of the finding's prototypes in the words that name it.")


class SentenceAnswer(Answer):
    """One sentence of the draft, compared with the findings."""

    start: int = Field(description="Its first character in the report.")
    end: int = Field(description="Behind its last.")
    verdict: str = Field(description="supported, doubtful, contradicted, or untestable: it claims nothing.")
    probability: float | None = Field(description="That all its claims are right; null where it has none.")
    words: float = Field(description="Mean log-probability of its words.")
    claims: list[ClaimAnswer]
    vouched: bool | None = Field(None, description="Whether the guarantee covers it, where one was asked for.")


class LeftOutAnswer(Answer):
    """A finding that the model sees and the draft does not affirm."""

    finding: str
    probability: float
    denied: bool = Field(description="Whether the draft denies it; else it does not mention it.")
    place: PlaceAnswer | None


class GuaranteeAnswer(Answer):
    """What is promised about the sentences that are vouched for."""

    max_error: float = Field(description="Bound on the expected share of false claims among them.")
    holds: bool
    note: str


class ReportAnswer(Answer):
    """A draft report, as `xpronet report --json` writes it."""

    model: str = Field(description="First digits of the SHA-256 of the weights.")
    views: list[str] = Field(description="What the answer calls each view.")
    id: str
    report: str = Field(description="The draft, never a diagnosis.")
    findings: list[FindingAnswer]
    labels_from: str = Field(description="What decided which prototypes were visible.")
    log_probability: float = Field(description="Natural logarithm of the report's probability.")
    sentences: list[SentenceAnswer] = Field([], description="Of a model with a findings head.")
    left_out: list[LeftOutAnswer] = Field([], description="Seen by the model, not in the draft.")
    guarantee: GuaranteeAnswer | None = Field(None, description="Where a bound was asked for.")
    words: list[WordAnswer] = []
    gate: list[GateAnswer] = Field([], description="One a view, where the model has a gate.")
    texture: list[GateAnswer] = Field([], description="One a view, of a model that learned from drawings.")
    warnings: list[str] = Field([], description="Out-of-distribution views, and views that may be another patient's.")


class ModelFinding(Answer):
    """A finding that the model predicts."""

    name: str
    threshold: float


class LimitsAnswer(Answer):
    """What one request may hold."""

    files: int
    bytes: int
    pixels: int = Field(description="Of one image.")
    seconds: float = Field(description="From the complete upload to the report.")


class ModelAnswer(Answer):
    """The model that is served."""

    name: str
    model: str = Field(description="First digits of the SHA-256 of the weights.")
    version: str = Field(description="Of XProNet.")
    notice: str
    findings: list[ModelFinding]
    image_size: int = Field(description="Side of the square that the network sees, in pixels.")
    max_views: int = Field(description="Most views that a study had in training.")
    max_words: int
    beams: int
    choose: str
    labels_from: str
    structured_reports: bool = Field(description="Whether DICOM structured reports can be made.")
    examples: bool = Field(description="Whether the run has examples of its prototypes.")
    gate: bool = Field(description="Whether out-of-distribution views are recognised.")
    limits: LimitsAnswer


class StatusAnswer(Answer):
    """The state of the server."""

    status: str


class ErrorAnswer(Answer):
    """Why a request is not fulfilled."""

    detail: str


class UploadForm(BaseModel):
    """The multipart body of an upload."""

    views: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        description="The study's images, frontal first: PNG, JPEG, TIFF or DICOM. File names are not used."
    )
    text: str = Field("", description="Only for structured reports: the text as edited.")


def upload_body() -> dict[str, Any]:
    """Return the description of an upload, which the routes read themselves so that it never touches a disk."""
    schema = UploadForm.model_json_schema()
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def file_answer(media_type: str, description: str) -> Responses:
    """Return the description of a 200 that is no JSON."""
    schema = {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}}


def error_answers(*statuses: int) -> Responses:
    """Return the descriptions of errors; without a status, of all that a route with an upload may answer."""
    descriptions = {
        400: "No image, an unknown part, or a body that was cut off.",
        401: "The token is missing or wrong.",
        404: "The run has no examples.",
        408: "The upload took too long.",
        413: "Too many bytes.",
        415: "Not multipart/form-data.",
        422: "An image is damaged, too large or of no known format, or the images are not one patient's.",
        503: "The queue is full or the model is still loading: try again after Retry-After.",
        504: "No report in time.",
    }
    chosen = statuses or tuple(status for status in descriptions if status != 404)
    return {status: {"description": descriptions[status], "model": ErrorAnswer} for status in chosen}
