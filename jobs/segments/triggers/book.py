"""All triggers and journeys with the policy they obey, and the unnamed segments that their rules are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobs.core.definitions import SegmentHeader
from jobs.segments.language.journeys import Branch, Journey
from jobs.segments.language.model import Catalogue, Segment
from jobs.segments.language.policy import Policy
from jobs.segments.language.references import SEGMENT, TRAIT, Reference, only
from jobs.segments.language.rules import AnyRule
from jobs.segments.language.triggers import PERSON, Crosses, Presence, Trigger
from jobs.segments.triggers.walk import exit_name, rule_name


@dataclass(frozen=True)
class Book:
    """Triggers and journeys by name, each judged against the catalogue before."""

    triggers: Mapping[str, Trigger]
    journeys: Mapping[str, Journey]
    policy: Policy

    def watched(self) -> Mapping[str, Trigger]:
        """The triggers with, for each journey's `exit_on`, one of its name that never sends: what the occasions' query finds."""
        exits = {
            exit_event_name(name): Trigger.model_construct(
                name=exit_event_name(name),
                description="",
                occasion=Presence(event=list(journey.exit_on.names), where=journey.exit_on.where),
            )
            for name, journey in self.journeys.items()
            if journey.exit_on is not None
        }
        return {**self.triggers, **exits}

    def followed(self, catalogue: Catalogue) -> Catalogue:
        """The catalogue with a segment for each rule that a trigger waits for (`crosses`): what the stream keeps members of."""
        rules = {
            str(trigger.waits_for): (trigger.occasion.crosses, self._zone(trigger))
            for trigger in self.triggers.values()
            if isinstance(trigger.occasion, Crosses)
        }
        return _with(catalogue, rules)

    def judged(self, catalogue: Catalogue) -> Catalogue:
        """What must be known at the moment of a decision: rules of `if`, ways and ends of journeys, what triggers wait for, and
        the person's time zone where a defined trait holds it; with what these read."""
        rules = dict(self._conditions())
        whole = _with(self.followed(catalogue), rules)
        wanted: set[Reference] = {(SEGMENT, name) for name in rules}
        wanted |= {(SEGMENT, trigger.waits_for) for trigger in self.triggers.values() if trigger.waits_for}
        if self.policy.zone_trait in catalogue.traits:
            wanted.add((TRAIT, str(self.policy.zone_trait)))
        return only(whole, wanted)

    def exits(self) -> dict[str, str]:
        """Under which name the query of occasions finds the events that end a journey → the journey."""
        return {exit_event_name(name): name for name, journey in self.journeys.items() if journey.exit_on is not None}

    def flags(self) -> set[str]:
        """The yes-or-no attributes that policy asks for."""
        consents = {rules.consent for rules in self.policy.purposes.values() if rules.consent}
        return {self.policy.suppressed, *consents}

    def started_by(self, trigger: str) -> list[Journey]:
        """The journeys that begin when the trigger fires."""
        return [journey for _, journey in sorted(self.journeys.items()) if journey.start == trigger]

    def _conditions(self) -> Iterator[tuple[str, tuple[AnyRule, str]]]:
        for trigger in self.triggers.values():
            if trigger.if_ is not None:
                yield condition_name(trigger.name), (trigger.if_, self._zone(trigger))
        zone = self.policy.default_zone
        for name, journey in self.journeys.items():
            if journey.exit_when is not None:
                yield exit_name(name), (journey.exit_when, zone)
            for step_name, step in journey.steps.items():
                for place, way in enumerate(step.branch if isinstance(step, Branch) else ()):
                    yield rule_name(name, step_name, place), (way.if_, zone)

    def _zone(self, trigger: Trigger) -> str:
        return self.policy.default_zone if trigger.time_zone == PERSON else trigger.time_zone


def condition_name(trigger: str) -> str:
    """The unnamed segment of those for whom a trigger's `if` holds."""
    return f"trigger__{trigger}__if"


def exit_event_name(journey: str) -> str:
    """Under which name the query of occasions finds the events that end a journey."""
    return f"journey__{journey}__exit_on"


def _with(catalogue: Catalogue, rules: Mapping[str, tuple[AnyRule, str]]) -> Catalogue:
    added = {
        name: Segment(SegmentHeader.model_construct(name=name, description="", rule={}, time_zone=zone), rule)
        for name, (rule, zone) in rules.items()
    }
    return Catalogue(catalogue.traits, {**catalogue.segments, **added}, catalogue.attributes)
