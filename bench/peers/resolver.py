"""AWS Lambda Powertools' resolver with validation, its Logger and Metrics, over a store of one's choice."""

import os
from collections.abc import Callable
from typing import Annotated, Any, Protocol

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, ServiceError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bench.peers.models import CustomerOut, Limit, Page, Taken
from bench.peers.new_customer import CustomerIn
from bench.peers.tokens import Unauthorized, owner_of


class Store(Protocol):
    def get(self, id: str, owner: str) -> CustomerOut | None: ...

    def newest(self, owner: str, limit: int) -> Page: ...

    def create(self, new: CustomerIn, owner: str) -> CustomerOut:
        """Raises `Taken`."""
        ...


def handler_over(store: Store) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    app = APIGatewayHttpResolver(enable_validation=True)
    logger = Logger(service="customers")
    metrics = Metrics(namespace="Customers", service="customers")
    secret = os.environ["JWT_SECRET"].encode()

    @app.get("/customers/<id>")
    def get_customer(id: str) -> CustomerOut:
        customer = store.get(id, app.context["owner"])
        if customer is None:
            raise NotFoundError("Customer not found")
        return customer

    @app.get("/customers")
    def list_customers(limit: Annotated[Limit, Query()] = 10) -> Page:
        return store.newest(app.context["owner"], limit)

    @app.post("/customers")
    def create_customer(new: CustomerIn) -> Response[CustomerOut]:
        try:
            customer = store.create(new, app.context["owner"])
        except Taken:
            raise ServiceError(409, "The customer_id is taken") from None
        return Response(201, content_types.APPLICATION_JSON, customer)

    @logger.inject_lambda_context
    @metrics.log_metrics
    def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        try:  # here, because the resolver would tell anybody what is wrong with a request
            app.append_context(owner=owner_of(event["headers"], secret))  # type: ignore[no-untyped-call]
        except Unauthorized:
            return {"statusCode": 401, "headers": {"www-authenticate": "Bearer"}}
        answer = app.resolve(event, context)
        logger.info(event["routeKey"], status=answer["statusCode"])
        metrics.add_metric("Requests", MetricUnit.Count, 1)
        return answer

    return lambda_handler
