"""DELETE /customers/imports/{import_id}: nothing more of it is begun."""

from http import HTTPStatus

from customers.api import Request, Response, Service
from customers.files import Files
from customers.importing import Jobs, show
from customers.settings import FileSettings

service = Service()
jobs = Jobs(service.table)
files = Files(FileSettings.from_env().bucket_name)


@service.operation("cancel_import", scope="customers:write")
def lambda_handler(request: Request) -> Response:
    job = jobs.cancel(request.path_id("import_id"), request.reach)
    return Response(HTTPStatus.OK, show(job, files, by_admin=request.caller.is_admin))
