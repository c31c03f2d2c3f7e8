"""Where the server listens, and its limits."""

import ipaddress
from dataclasses import dataclass
from typing import Literal

from xpronet.errors import InputError

MINIMUM_TOKEN = 16
"""Fewest characters; a shorter token can be guessed."""


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Where the server listens, and its limits."""

    host: str = "127.0.0.1"
    """Address to listen on; any other than loopback needs a token."""
    allow_code: bool = False
    """Let the checkpoint name Python objects of installed packages."""
    port: int = 8000
    """TCP port; 0 chooses a free one."""
    token: str = ""
    """What clients must send as `Authorization: Bearer TOKEN`; none if empty."""
    workers: int = 1
    """Model processes: one for each GPU or group of cores."""
    batch: int = 16
    """Largest batch of studies."""
    gather_seconds: float = 0.005
    """How long a batch waits for more studies, again while more arrive."""
    queue: int = 64
    """Requests at a time, from the first byte of the upload to the answer; more are answered 503 with Retry-After."""
    answer_seconds: float = 90.0
    """Longest time from the complete upload to the answer; the DICOM decoder alone may take 60."""
    upload_seconds: float = 30.0
    """Longest time an upload may take."""
    header_seconds: float = 10.0
    """Longest time that a request's headers may take, counted from the connection or the last answer."""
    max_files: int = 8
    """Views of one study."""
    max_upload_bytes: int = 64 << 20
    """Largest request in bytes, all views together."""
    max_held_bytes: int = 512 << 20
    """Most bytes of uploads in memory, over all requests."""
    max_pixels: int = 25_000_000
    """Largest image in pixels; the largest digitised films have 21 million."""
    labels_from: Literal["predicted", "all"] = "predicted"
    """What decides which prototypes are visible, as in `xpronet report`."""
    strict: bool = False
    """Refuse a study with a warning."""
    anyway: bool = False
    """Take images whose headers name another body part than the chest, and films by a model of drawings, with a
    warning."""

    def __post_init__(self) -> None:
        for name in ("workers", "batch", "queue", "max_files", "max_upload_bytes", "max_held_bytes", "max_pixels"):
            if getattr(self, name) < 1:
                raise InputError(f"serve.{name} = {getattr(self, name)}: must be at least 1")
        for name in ("answer_seconds", "upload_seconds", "header_seconds"):
            if getattr(self, name) <= 0:
                raise InputError(f"serve.{name} = {getattr(self, name)}: must be more than 0")
        if self.gather_seconds < 0:
            raise InputError(f"serve.gather_seconds = {self.gather_seconds}: must not be negative")
        if not 0 <= self.port <= 65535:
            raise InputError(f"serve.port = {self.port}: must be from 0 to 65535")
        if not self.loopback and not self.token:
            raise InputError(
                f"--host {self.host}: others could reach this server, so it needs --token-file FILE with a secret of "
                f"{MINIMUM_TOKEN} characters or more"
            )
        if self.token and (len(self.token) < MINIMUM_TOKEN or not self.token.isascii() or not self.token.isprintable()):
            raise InputError(f"the token must have {MINIMUM_TOKEN} printable ASCII characters or more")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
