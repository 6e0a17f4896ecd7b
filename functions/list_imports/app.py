"""GET /customers/imports: the caller's imports, newest first."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.files import Files
from customers.importing import ImportPage, Jobs, list_imports
from customers.settings import FileSettings

service = Service()
jobs = Jobs(service.table)
files = Files(FileSettings.from_env().bucket_name)


@service.operation("list_imports", scope="customers:read")
def lambda_handler(request: Request) -> Response:
    page = request.query(ImportPage)
    caller = request.caller
    return Response(HTTPStatus.OK, list_imports(jobs, files, page, owner_id=caller.owner_id, by_admin=caller.is_admin))
