"""Addresses that are taken without a look by email_validator are those that it takes, as it writes them."""

from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from customers.models import PLAIN_EMAIL, _email

ADDRESSES = (
    st.emails() | st.from_regex(PLAIN_EMAIL, fullmatch=True) | st.from_regex(r"[a-z.]{1,70}@[A-Za-z0-9.-]{1,99}")
)


def by_the_library(address: str) -> str | None:
    try:
        return validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


@settings(deadline=None, max_examples=500)
@given(ADDRESSES)
@example("zoe@Example.com")
@example("postmaster@a.de")
@example("POSTMASTER@a.de")
@example("a@b.test")
@example("a@b.LOCAL")
@example("a@x.arpa")
@example("a@b--c.com")
@example("a@xn--bcher-kva.example")
@example("a@" + "b" * 64 + ".com")
@example("a" * 65 + "@b.com")
@example("a@b.c")
@example("a..b@c.de")
@example("a@1.2.3.4")
@example("a@b.test.de")
def test_a_plain_address_is_what_the_library_makes_of_it(address: str) -> None:
    try:
        ours = _email(address)
    except PydanticCustomError:
        ours = None
    assert ours == by_the_library(address)
