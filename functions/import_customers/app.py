"""POST /customers/import: customers from a file of few rows, at once."""

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus

from customers import keys
from customers.api import Request, Response, Service
from customers.importing import FileImport, ImportQuery, Order, import_file

service = Service()


@service.operation("import_customers", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    query = request.query(ImportQuery)
    file = request.file()
    asked = FileImport(**query.model_dump(), sha256=hashlib.sha256(file).hexdigest())
    order = Order(request.caller.owner_id, keys.timestamp(datetime.now(UTC)), query.on_deleted, query.dry_run)
    result, replayed = import_file(
        service.table, file, order, request.idempotency(asked), max_rows=service.settings.max_import_rows
    )
    return Response(HTTPStatus.OK, result, {"idempotency-replayed": "true"} if replayed else {})
