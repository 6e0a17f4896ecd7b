"""`make token`: an HS256 access token for a stack whose secret the caller may read."""

import argparse
import sys
import time

from joserfc import jwt
from joserfc.jwk import OctKey

from customers import keys
from customers.auth import SCOPES
from customers.auth.shared_secret import read_secret
from customers.settings import SettingsError
from tools import stack
from tools.stack import Stack, StackError

HOURS = 24.0


def issue(
    for_stack: Stack, owner_id: str, *, admin: bool = False, scopes: str | None = None, hours: float = HOURS
) -> str:
    """A token that `for_stack` believes. Raises `StackError`."""
    parameters = for_stack.parameters
    if not parameters["JwtSecretArn"]:
        raise StackError("This stack believes no HS256 token: it was deployed without JwtSecretArn")
    try:
        secret = read_secret(parameters["JwtSecretArn"])
    except SettingsError as error:
        raise StackError(str(error)) from None
    now = int(time.time())
    claims = {
        parameters["JwtOwnerClaim"]: owner_id,
        parameters["JwtAdminClaim"]: parameters["JwtAdminValue"] if admin else None,
        "scope": scopes,
        "iss": parameters["JwtIssuer"] or None,
        "aud": parameters["JwtAudience"] or None,
        "iat": now,
        "exp": now + round(3600 * hours),
    }
    return jwt.encode(
        {"alg": "HS256"},
        {name: value for name, value in claims.items() if value is not None},
        OctKey.import_key(secret),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make token", description="Print an access token.")
    stack.add_argument(parser)
    parser.add_argument("--owner", required=True, help="whose customers its bearer sees")
    parser.add_argument("--admin", action="store_true", help="everybody's")
    parser.add_argument(
        "--scopes", metavar="SCOPES", help=f"separated by spaces, of {' '.join(sorted(SCOPES))}; default all"
    )
    parser.add_argument("--hours", type=float, default=HOURS, help="until it expires (default: %(default)s)")
    arguments = parser.parse_args()
    if not keys.is_owner_id(arguments.owner):
        parser.error("name the owner, in 1 to 128 visible ASCII characters without #: make token OWNER=ada")
    if unknown := set((arguments.scopes or "").split()) - SCOPES:
        parser.error(f"there is no scope {' or '.join(sorted(unknown))}")
    try:
        print(
            issue(
                stack.chosen(arguments.stack),
                arguments.owner,
                admin=arguments.admin,
                scopes=arguments.scopes,
                hours=arguments.hours,
            )
        )
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
