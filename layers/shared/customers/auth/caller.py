"""Who is calling: what every kind of credential comes down to."""

import re
from dataclasses import dataclass
from typing import TypeGuard

SCOPES = frozenset({"customers:read", "customers:write", "customers:purge"})

# Printable ASCII without space and `#`: owner ids are parts of the table's keys, which `#` separates, so an owner id
# with a `#` could spell another owner's key. Written so that `re.fullmatch` and JSON Schema read it alike.
OWNER_PATTERN = r'^[!-"$-~]{1,128}$'


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner_id` says whose records; an administrator reaches everybody's."""

    owner_id: str
    is_admin: bool
    scopes: frozenset[str]


def is_owner_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(OWNER_PATTERN, value) is not None
