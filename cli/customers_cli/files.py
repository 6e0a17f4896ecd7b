"""Files on this machine: what is sent, and how what comes appears whole or not at all."""

import filecmp
import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import typer

ZIP = b"PK\x03\x04"  # what every XLSX file begins with, however it is called
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv"


@dataclass(frozen=True, slots=True)
class Sheet:
    path: Path
    size: int  # bytes
    sha256: str
    content_type: str

    @classmethod
    def read(cls, path: Path) -> "Sheet":
        """Raises `typer.BadParameter`, `OSError`."""
        if not path.is_file():
            raise typer.BadParameter("It is read twice, which a pipe cannot be: save it first", param_hint="FILE")
        with path.open("rb") as file:
            content_type = XLSX if file.read(len(ZIP)) == ZIP else CSV
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        if not size:
            raise typer.BadParameter("The file is empty", param_hint="FILE")
        return cls(path, size, sha256, content_type)

    @property
    def name(self) -> str:
        return self.path.name.encode(errors="replace").decode()  # names of files need not be text


def target(path: Path, option: str) -> Path:
    """The place of a file that is to come, if one can be there. Raises `typer.BadParameter`."""
    if not path.parent.is_dir():
        raise typer.BadParameter("There is no such directory", param_hint=option)
    if path.exists() and not path.is_file():
        raise typer.BadParameter("That is there, and is no file", param_hint=option)
    return path


def save(path: Path, fill: Callable[[BinaryIO], None], *, replace: bool) -> Path:
    """Where the file is once `fill` has written it: at `path`, or, not to `replace` another file, beside that.

    If `fill` or anything else fails, nothing has happened. Raises `OSError` and what `fill` does.
    """
    if replace:
        path = path.resolve()  # what a link leads to is replaced, not the link
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            fill(file)
        place = path if replace else next(place for place in _places(path) if _is_free(place, part))
        return part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _places(path: Path) -> Iterator[Path]:
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}.{number}{path.suffix}")


def _is_free(place: Path, part: Path) -> bool:
    return not place.exists() or (place.is_file() and filecmp.cmp(place, part, shallow=False))
