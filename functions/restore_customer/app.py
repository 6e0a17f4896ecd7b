"""POST /customers/{customer_id}/restore: bring a deleted customer back."""

from http import HTTPStatus

from customers.api import Request, Response, Service

service = Service()


@service.operation("restore_customer", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    outcome = service.customers.restore(request.id, request.reach, request.if_match, request.idempotency())
    return request.respond(HTTPStatus.OK, outcome)
