"""GET /customers/{customer_id}/detail: a customer with its statistics, last call and campaigns."""

from http import HTTPStatus

from customers import keys
from customers.api import Request, Response, Service
from customers.models import CustomerDetailOut, CustomerDetailStatsOut, DetailQuery

service = Service()


@service.operation("get_customer_detail", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    include_deleted = request.query(DetailQuery).include_deleted
    customer, items = service.customers.detail(request.id, request.reach, include_deleted=include_deleted)
    stats = CustomerDetailStatsOut.of(items.get(keys.STATS, {}))
    return Response(HTTPStatus.OK, CustomerDetailOut(customer=request.show(customer), stats=stats, campaigns=[]))
