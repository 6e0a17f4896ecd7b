"""Who is calling, and may they be believed: JSON Web Tokens and API keys."""

from customers.auth.api_keys import StoredKey
from customers.auth.authenticator import Authenticator
from customers.auth.caller import SCOPES, Caller

__all__ = ["SCOPES", "Authenticator", "Caller", "StoredKey"]
