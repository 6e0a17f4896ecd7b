"""Who is calling: what every kind of credential comes down to."""

from dataclasses import dataclass

SCOPES = frozenset({"customers:read", "customers:write", "customers:purge"})


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner_id` says whose records; an administrator reaches everybody's."""

    owner_id: str
    is_admin: bool
    scopes: frozenset[str]
