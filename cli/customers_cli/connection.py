"""Which API, and who calls: from options, else from the environment."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import typer

URL = ("CUSTOMERS_API", "API")
API_KEY = ("CUSTOMERS_API_KEY", "API_KEY")
TOKEN = ("CUSTOMERS_TOKEN", "TOKEN")


@dataclass(frozen=True, slots=True)
class Connection:
    url: str
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def chosen(cls, url: str | None, api_key: str | None, token: str | None) -> "Connection":
        """An option wins over the environment, and of the environment an API key. Raises `typer.BadParameter`."""
        if api_key and token:
            raise typer.BadParameter("Give one of the two", param_hint="--api-key / --token")
        if not (api_key or token):
            api_key = _environment(API_KEY)
            token = None if api_key else _environment(TOKEN)
        address = _checked_url(url or _environment(URL))
        if api_key:
            secret = _checked_secret(api_key, "--api-key")
            return cls(address, {"X-API-Key": secret}, secret)
        if token:
            secret = _checked_secret(token, "--token")
            return cls(address, {"Authorization": f"Bearer {secret}"}, secret)
        raise typer.BadParameter(
            f"Who calls? Give one, or set {API_KEY[0]} or {TOKEN[0]}", param_hint="--api-key / --token"
        )

    def without_secret(self, text: str) -> str:
        """For what others have written and we show: some services quote the headers that they did not like."""
        return text.replace(self.secret, "***")


def _environment(names: Sequence[str]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _checked_url(url: str | None) -> str:
    """Quotes nothing: a URL may hold a password."""
    if not url:
        raise typer.BadParameter(f"Where is the API? Give it, or set {URL[0]}", param_hint="--url")
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL:
        raise typer.BadParameter("That is no URL", param_hint="--url") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise typer.BadParameter("It begins with https:// or http:// and a host", param_hint="--url")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise typer.BadParameter("It has no user name, no query and no fragment", param_hint="--url")
    return str(parsed).rstrip("/")


def _checked_secret(secret: str, option: str) -> str:
    """Also keeps it out of the messages of the HTTP client, which quotes a header that it cannot send."""
    stripped = secret.strip()
    if not re.fullmatch(r"[!-~]+", stripped):
        raise typer.BadParameter("It is visible ASCII characters only", param_hint=option)
    return stripped
