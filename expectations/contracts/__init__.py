"""Contracts: the promised shape of tables, events and sources (YAML here, typed by `model`, read by `loader`)."""

from expectations.contracts.loader import ContractError, events, marts, sources, table, tables
from expectations.contracts.model import Column, EventContract, FieldContract, PiiClass, SourceContract, TableContract

__all__ = [
    "Column",
    "ContractError",
    "EventContract",
    "FieldContract",
    "PiiClass",
    "SourceContract",
    "TableContract",
    "events",
    "marts",
    "sources",
    "table",
    "tables",
]
