"""Customers from files.

Few rows: `inline` reads, applies and answers at once. Many: `jobs` keeps what is known of an import, `steps` carries it
out, `view` shows it. Both read files with `sheets`, make `rows` of them, and apply these in `batches`.
"""

from customers.importing.batches import Order
from customers.importing.inline import import_file
from customers.importing.jobs import Jobs
from customers.importing.models import FileImport, ImportCreate, ImportJobOut, ImportOut, ImportPage, ImportQuery
from customers.importing.steps import Steps
from customers.importing.view import list_imports, show

__all__ = [
    "FileImport",
    "ImportCreate",
    "ImportJobOut",
    "ImportOut",
    "ImportPage",
    "ImportQuery",
    "Jobs",
    "Order",
    "Steps",
    "import_file",
    "list_imports",
    "show",
]
