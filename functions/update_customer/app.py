"""PATCH /customers/{customer_id}: what was sent is set, null clears, the rest stays."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.models import CustomerUpdate, RecordQuery
from customers.repository import Outcome

service = Service()


@service.operation("update_customer", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    id = request.id
    request.query(RecordQuery)  # ids that must be uuids and change nothing
    changes = request.body(CustomerUpdate).model_dump(exclude_unset=True)
    customer = service.customers.update(id, request.reach, changes, request.if_match)
    return request.respond(HTTPStatus.OK, Outcome(customer))
