"""What may be wrong with a file or with one of its records."""

from typing import NamedTuple


class UnreadableFile(Exception):
    """The whole file cannot be taken. `code` is stable; `message` quotes nothing of the file but names of columns."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Problem(NamedTuple):
    """Why one record cannot be taken, in words that quote nothing of it."""

    code: str
    message: str


class Record(NamedTuple):
    """One row of a file. `number` is what a spreadsheet shows beside it; with a `problem` there are no cells."""

    number: int
    cells: list[str]
    problem: Problem | None = None
