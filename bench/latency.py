"""What DynamoDB's latency would make of the calls that were counted. A stated model, not a measurement."""

from collections.abc import Sequence

from bench.meter import UNIT_BYTES, Call

TRIP_MILLISECONDS = 5.0
MEGABYTE_MILLISECONDS = 12.0  # of what is read; pages of one Query follow each other


def modelled(calls: Sequence[Call]) -> float:
    """Milliseconds. Calls that overlapped count as one, the longest of them."""
    total, wave, first_end = 0.0, list[Call](), float("inf")
    for call in sorted(calls, key=lambda each: each.started):
        if call.started >= first_end:
            total += _longest(wave)
            wave, first_end = [], float("inf")
        wave.append(call)
        first_end = min(first_end, call.ended)
    return total + _longest(wave)


def _longest(wave: Sequence[Call]) -> float:
    return max((TRIP_MILLISECONDS + MEGABYTE_MILLISECONDS * _megabytes(call) for call in wave), default=0.0)


def _megabytes(call: Call) -> float:
    return sum(call.units.values()) * UNIT_BYTES / 2**20
