"""Clients of AWS services: botocore's own, each with its limits on time and attempts."""

from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST
from botocore.loaders import Loader
from botocore.session import Session


def client(
    service: str, *, region: str | None = None, amend: Callable[[dict[str, Any]], object] | None = None, **config: Any
) -> Any:
    """A client of `service`; `config` is botocore's, `amend` changes botocore's description of the service.

    From a session of its own, so that none has credentials that another has resolved: under SnapStart they are another
    sandbox's. Not from boto3, whose resources and transfers nobody uses here.
    """
    loader = _loader()
    if amend:
        amend(loader.load_service_model(service, "service-2"))  # which the loader keeps
    session = Session(include_builtin_handlers=False)
    session.register_component("data_loader", loader)
    _register_handlers(session, {service, "sts"})
    return session.create_client(service, region_name=region, config=Config(**config))


def _register_handlers(session: Session, services: set[str]) -> None:
    """Botocore's own handlers, but for those of other services and of its documentation.

    Each of the 127 has its signature inspected when it is registered.
    """
    events = session.get_component("event_emitter")
    places = {REGISTER_FIRST: events.register_first, REGISTER_LAST: events.register_last}
    for event, handler, *place in BUILTIN_HANDLERS:
        kind, _, rest = event.partition(".")
        if kind != "docs" and (not rest or rest.partition(".")[0] in services):
            register = places[place[0]] if place else events.register
            register(event, handler)


@cache
def _loader() -> Loader:
    """Reads each of botocore's descriptions once."""
    return Loader()
