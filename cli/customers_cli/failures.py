"""What ends a command early. Each carries the exit code that --help documents."""

from typing import ClassVar

EXIT_CODES = {
    0: "all of it was done",
    1: "the import has ended, but some rows were rejected",
    2: "the command was not understood",
    3: "the API has refused: the credential, the request, or an id that it does not know",
    4: "the service could not be reached, the job has failed or was cancelled, or this command had a fault",
    130: "interrupted with Ctrl-C",
    141: "whoever read the output has stopped reading",
}
TAKEN, REJECTED_ROWS, REFUSED, FAILED, INTERRUPTED, UNREAD = 0, 1, 3, 4, 130, 141


class Failure(Exception):
    """The message is for the user; it holds no credential."""

    exit_code: ClassVar[int]


class Refused(Failure):
    """The API has understood, and does not want to. Sent again, it would say so again."""

    exit_code = REFUSED


class Unreachable(Failure):
    """The service could not be reached, or could not do it, however often it was asked."""

    exit_code = FAILED


class BrokenLink(Unreachable):
    """A presigned link that did not do its work; `again`: a fresh one may."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again
