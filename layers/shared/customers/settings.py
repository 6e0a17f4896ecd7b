"""The environment, read once at cold start into a typed model. A missing or weak value stops the start and is named."""

import os
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "[::1]"}  # as URLs have them
MIN_HS256_SECRET_BYTES = 32  # RFC 7518, section 3.2: a key of at least the hash's size


class SettingsError(RuntimeError):
    """A variable of the environment is missing or wrong; the message names it, never its value."""


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address that begins with https://")
    return value


Address = Annotated[str, AfterValidator(_address)]


class _FromEnvironment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    @classmethod
    def from_env(cls) -> Self:
        """Read each field from the variable of its name in capitals; an empty variable counts as absent.

        Raises `SettingsError`.
        """
        values = {name: value for name in cls.model_fields if (value := os.environ.get(name.upper(), "").strip())}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(
                f"{str(e['loc'][0]).upper() if e['loc'] else cls.__name__}: {e['msg']}" for e in error.errors()
            )
            raise SettingsError(problems) from None  # the chained error would print the values


class Settings(_FromEnvironment):
    table_name: Annotated[str, Field(min_length=3, max_length=255)]
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30  # days from soft delete to purge; 0 = never
    reject_unknown_fields: bool = False  # True: 422 for unknown or read-only fields, which the original ignores
    max_walk_megabytes: Annotated[int, Field(ge=1)] = 30  # of an index that one listing may read, before it is a 503
    max_body_bytes: Annotated[int, Field(ge=1_024)] = 65_536
    max_import_rows: Annotated[int, Field(ge=1, le=300)] = (
        100  # of a file imported at once; one item has all their errors
    )


class InboxSettings(_FromEnvironment):
    dead_letter_queue_url: Address


class FileSettings(_FromEnvironment):
    bucket_name: Annotated[str, Field(min_length=3, max_length=63)]  # of uploads and results


class ExportSettings(_FromEnvironment):
    export_function: Annotated[str, Field(min_length=1)]  # name of the function that carries exports out


class AuthSettings(_FromEnvironment):
    """At least one of a shared secret, a key set or `API_KEYS_ONLY` must be configured.

    `jwt_secret_arn` names a Secrets Manager secret or an SSM parameter that holds the HS256 secret.
    """

    jwt_secret: SecretStr | None = None
    jwt_secret_arn: Annotated[str, Field(pattern=r"^arn:aws[\w-]*:(secretsmanager|ssm):")] | None = None
    jwks_url: Address | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    jwt_owner_claim: str = "sub"
    jwt_admin_claim: str = "role"
    jwt_admin_value: str = "admin"
    api_keys_only: bool = False

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.jwt_secret and len(self.jwt_secret.get_secret_value().encode()) < MIN_HS256_SECRET_BYTES:
            raise ValueError(f"JWT_SECRET is shorter than {MIN_HS256_SECRET_BYTES} bytes")
        if self.jwt_secret and self.jwt_secret_arn:
            raise ValueError("set JWT_SECRET or JWT_SECRET_ARN, not both")
        if self.jwks_url and urlsplit(self.jwks_url).scheme != "https" and not _is_loopback(self.jwks_url):
            raise ValueError("JWKS_URL must be https")  # whoever could change the answer could sign tokens
        if self.jwks_url and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE")
        if not (self.jwt_secret or self.jwt_secret_arn or self.jwks_url or self.api_keys_only):
            raise ValueError("set JWT_SECRET, JWT_SECRET_ARN or JWKS_URL, or API_KEYS_ONLY=true")
        return self


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return (f"[{host}]" if ":" in host else host) in LOOPBACK_HOSTS
