"""What a definition may speak of: events with their properties, and the attributes that each build makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from expectations import contracts
from expectations.contracts import Column, FieldContract
from jobs.segments.language.traits import Kind

NOT_TRAITS = frozenset({"profile_id", "as_of"})
KINDS = {"long": Kind.WHOLE, "double": Kind.NUMBER, "string": Kind.TEXT, "boolean": Kind.FLAG, "date": Kind.TIME}
Properties = Mapping[str, FieldContract]


@dataclass(frozen=True)
class Vocabulary:
    """The names outside of the definitions.

    `events`: name → properties; None when anything may be asked for. `takes_unknown`: a source accepts events without a
    contract, so that one may come. `columns`: contract of an attribute, where it has one.
    """

    events: Mapping[str, Properties] | None = None
    takes_unknown: bool = False
    columns: Mapping[str, Column] = field(default_factory=dict)

    def texts(self, attribute: str) -> tuple[str, ...]:
        """The closed set of an attribute's texts; empty when it is open."""
        return self.columns[attribute].allowed if attribute in self.columns else ()

    def identifies(self, attribute: str) -> bool:
        """Whether a value of the attribute belongs to one person."""
        return attribute in self.columns and self.columns[attribute].identifies

    def floor(self, attribute: str) -> float | None:
        """What the attribute, always known, is never below; None when nothing is promised."""
        column = self.columns.get(attribute)
        return column.min if column and column.required else None


def of_contracts() -> Vocabulary:
    """What the contracts of events, sources and `dim_profiles` promise."""
    return Vocabulary(
        events={name: event.properties for name, event in contracts.events().items()},
        takes_unknown=any(source.unknown_events == "accept" for source in contracts.sources().values()),
        columns={column.name: column for column in contracts.marts()["dim_profiles"].columns},
    )


def attributes() -> dict[str, Kind]:
    """Attribute → what it is, of the columns of `dim_profiles`; they change with a build, not with an event."""
    columns = contracts.marts()["dim_profiles"].columns
    return {column.name: kind_of_column(column.type) for column in columns if column.name not in NOT_TRAITS}


def kind_of_column(kind: str) -> Kind:
    """What values of a column's type are to a rule."""
    if kind.startswith("decimal"):
        return Kind.NUMBER
    return Kind.TIME if kind == "timestamp" else KINDS[kind]
