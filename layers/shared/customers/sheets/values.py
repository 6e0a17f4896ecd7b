"""Typed cells as the texts that a CSV file would have."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal

type Cell = int | float | str | bool | time | date | datetime | timedelta


def text_of(cell: Cell) -> str:
    """As a person would type it: 39021234567 and not 3.9E+10, 2026-01-31 for a date, true and false.

    A number has all the digits that it was stored with, which are 15 to 17, whatever the format that it is shown in.
    """
    return _TEXTS[type(cell)](cell)


def _number(number: float) -> str:
    if number.is_integer():
        return str(int(number))
    text = repr(number)
    return format(Decimal(text), "f") if "e" in text else text


def _duration(duration: timedelta) -> str:
    """Hours, minutes and seconds; the hours are as many as they are."""
    seconds = round(duration.total_seconds())
    minutes, second = divmod(abs(seconds), 60)
    sign = "-" if seconds < 0 else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{second:02}"


_TEXTS: Mapping[type[Cell], Callable[..., str]] = {
    str: str,
    int: str,
    float: _number,
    bool: lambda truth: "true" if truth else "false",
    date: date.isoformat,
    datetime: datetime.isoformat,
    time: time.isoformat,
    timedelta: _duration,
}
