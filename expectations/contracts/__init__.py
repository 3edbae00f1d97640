"""Contracts: the promised shape of tables, events and sources (YAML here, typed by `model`, read by `loader`)."""

from expectations.contracts.fields import PERSON_COLUMNS, FieldContract, OutlierRule, PiiClass
from expectations.contracts.loader import ContractError, events, marts, sources, table, tables
from expectations.contracts.mapping import EventMapping
from expectations.contracts.model import Column, ConsentValues, EventContract, SourceContract, TableContract

__all__ = [
    "PERSON_COLUMNS",
    "Column",
    "ConsentValues",
    "ContractError",
    "EventContract",
    "EventMapping",
    "FieldContract",
    "OutlierRule",
    "PiiClass",
    "SourceContract",
    "TableContract",
    "events",
    "marts",
    "sources",
    "table",
    "tables",
]
