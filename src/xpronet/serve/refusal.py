"""The one exception that becomes an answer: what the client did wrong, or why it must come again."""


class RefusedError(Exception):
    """A request is not answered as it stands."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        """Keep what the client is told.

        Args:
            status: HTTP status.
            detail: one line, which says what would be taken.
            retry_after: seconds after which to come again.
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
