"""Errors that clients see: a status, one line in JSON, and the headers that go with them."""

import json


class RefusedError(Exception):
    """A request that is not fulfilled: the client's mistake, or a server that is busy."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        """Keep the answer.

        Args:
            status: HTTP status.
            detail: one line that says what would be accepted.
            retry_after: seconds after which to try again.
        """
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {"connection": "close"}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers

    @property
    def body(self) -> bytes:
        """JSON of the answer."""
        return json.dumps({"detail": self.detail}).encode()
