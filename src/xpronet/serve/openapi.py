"""What /openapi.json tells programs of bodies and answers that we read and write ourselves."""

from typing import Any

from xpronet.serve.uploads import FILES_FIELD, TEXT_FIELD

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

TOKEN = {"type": "http", "scheme": "bearer"}
"""How a client shows its token, where the server asks for one."""


def multipart() -> dict[str, Any]:
    """Return what is said of an upload's body."""
    views = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "description": "The study's images, frontal first: PNG, JPEG or DICOM. File names are not used.",
    }
    text = _text("Only for structured reports: the text as edited.")
    schema = _object({FILES_FIELD: views, TEXT_FIELD: text}, optional=(TEXT_FIELD,))
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def answers(kind: str, told: str, schema: Schema | None = None) -> Responses:
    """Return what is said of an answer of 200, of a media type; without a schema it is bytes."""
    content = {kind: {"schema": schema or {"type": "string", "format": "binary"}}}
    return {200: {"description": told, "content": content}}


def refusals() -> Responses:
    """Return what is said of everything but 200 that a route with an upload answers."""
    return {
        status: {"description": told, "content": {"application/json": {"schema": _object({"detail": _text("")})}}}
        for status, told in {
            400: "No image, or a part that is not known.",
            401: "The token is missing or wrong.",
            408: "The upload took too long.",
            413: "Too many bytes.",
            415: "Not multipart/form-data.",
            422: "An image is damaged, too large, or none that is read.",
            503: "The queue is full: come again after Retry-After.",
            504: "No report in time.",
        }.items()
    }


def report_schema() -> Schema:
    """Return the schema of `xpronet report --json`."""
    finding = _object(
        {
            "name": _text("One of the fourteen."),
            "probability": _number("Of the finding being present."),
            "threshold": _number("From which on it counts as present."),
            "present": {"type": "boolean"},
            "regions": _list(_list(_list(_number(""))))
            | {"description": "By view, row and column: what each adds to the logit before calibration."},
        }
    )
    use = _object(
        {
            "finding": _text("Whose prototype it is."),
            "index": {"type": "integer", "description": "Which of the finding's prototypes, from 0."},
            "weight": _number("Share of the response."),
        }
    )
    word = _object(
        {
            "text": _text("The word."),
            "log_probability": _number("Natural logarithm of its probability given the words before it."),
            "attention": _list(_list(_list(_number("")))) | {"description": "By view, row and column; sums to 1."},
            "prototypes": _list(use),
        }
    )
    gate = _object({"score": _number("Of the view."), "threshold": _number("Views above it are warned of.")})
    return _object(
        {
            "model": _text("First digits of the SHA-256 of the weights."),
            "views": _list(_text("What the answer calls the view.")),
            "id": _text(""),
            "report": _text("The draft, never a diagnosis."),
            "findings": _list(finding),
            "labels_from": _text("What decided which prototypes were visible."),
            "log_probability": _number("Natural logarithm of the report's probability."),
            "words": _list(word),
            "gate": _list(gate),
            "warnings": _list(_text("A view that is unlike those the model learned from.")),
        },
        optional=("words", "gate", "warnings"),
    )


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _text(told: str) -> Schema:
    return {"type": "string"} | ({"description": told} if told else {})


def _number(told: str) -> Schema:
    return {"type": "number"} | ({"description": told} if told else {})
