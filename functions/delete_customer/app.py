"""DELETE /customers/{customer_id}: hide until restored; `purge=true` removes every trace."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.models import DeleteQuery

service = Service()


@service.operation("delete_customer", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    if request.query(DeleteQuery).purge:
        request.require("customers:purge")
        service.customers.purge(request.id, request.reach, request.if_match)
    else:
        service.customers.delete(request.id, request.reach, request.if_match)
    return Response(HTTPStatus.NO_CONTENT)
