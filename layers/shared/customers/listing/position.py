"""A place in a listing, between two of its entries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """Behind `rank` entries, next to one whose values of the listing's order are `values`.

    That entry is the one before the place; or, with `backward`, the one after it, from which the page is read towards
    the beginning.
    """

    rank: int
    values: tuple[str, ...]
    backward: bool = False
