"""From the bytes of a CSV or XLSX file to records, and from records to what they say of customers.

Knows nothing of where customers are kept. `as_csv` makes CSV of what is not; `sniff` finds out how that is written,
`records` reads it, from any record on; `columns_of` and `values_of` find the fields of a customer.
"""

from customers.sheets.columns import FIELDS, READ_ONLY, SYNONYMS, Columns, columns_of, values_of
from customers.sheets.conversion import as_csv
from customers.sheets.csv_text import Csv, records
from customers.sheets.dialect import sniff
from customers.sheets.formulas import is_error, neutralised, plain
from customers.sheets.problems import Problem, Record, UnreadableFile
from customers.sheets.workbook import LARGE, SMALL, Limits

__all__ = [
    "FIELDS",
    "LARGE",
    "READ_ONLY",
    "SMALL",
    "SYNONYMS",
    "Columns",
    "Csv",
    "Limits",
    "Problem",
    "Record",
    "UnreadableFile",
    "as_csv",
    "columns_of",
    "is_error",
    "neutralised",
    "plain",
    "records",
    "sniff",
    "values_of",
]
