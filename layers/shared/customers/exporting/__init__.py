"""Customers to files: `jobs` keeps what is known of an export, `writer` carries it out, `view` shows it."""

from customers.exporting.jobs import Exports
from customers.exporting.models import ExportCreate, ExportJobOut
from customers.exporting.view import show
from customers.exporting.writer import Exporter

__all__ = ["ExportCreate", "ExportJobOut", "Exporter", "Exports", "show"]
