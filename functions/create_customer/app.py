"""POST /customers: a new customer of the caller's."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.models import CustomerCreate

service = Service()


@service.operation("create_customer", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    new = request.body(CustomerCreate)
    outcome = service.customers.create(request.caller.owner_id, new.model_dump(), request.idempotency(new))
    return request.respond(HTTPStatus.CREATED, outcome, location=f"{request.event['rawPath']}/{outcome.customer.id}")
