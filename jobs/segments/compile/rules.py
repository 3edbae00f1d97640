"""Rules and trait values as expressions over a profile's row: its measures, attributes, and traits and segments made before."""

from datetime import date, timedelta

from sqlglot import exp

from jobs.core.assignment import DIGITS, SEPARATOR, threshold
from jobs.segments.compile.collect import Needs, Percentile
from jobs.segments.compile.nodes import all_of, column, interval, known, number, sql, text
from jobs.segments.compile.portable import call
from jobs.segments.compile.properties import compared
from jobs.segments.compile.windows import now, unit_start
from jobs.segments.language import rules as shapes
from jobs.segments.language.events import PERCENT, Compared, Measure, Operator
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.traits import Choose, PointsEach, Priority, Ratio, Score
from jobs.segments.language.units import Unit, instant


def trait_column(name: str) -> str:
    """The column of a defined trait."""
    return f"trait_{name}"


def segment_column(name: str) -> str:
    """The column of a segment, true for members."""
    return f"in_{name}"


class Writer:
    """Writes the expressions of one catalogue, and gathers what they need.

    `dues`: moments at which a comparison with the clock turns.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.needs = Needs()
        self.dues: list[exp.Expr] = []

    def segment(self, segment: Segment) -> exp.Expr:
        """Whether a profile is a member; never NULL."""
        conditions = [known(self.rule(segment.rule, segment.header.time_zone))]
        if segment.header.parent:
            conditions.append(column(segment_column(segment.header.parent)))
        if segment.header.holdout:
            hashed = self._number(f"holdout{SEPARATOR}{segment.name}")
            conditions.append(sql(":hashed >= :limit", hashed=hashed, limit=text(threshold(segment.header.holdout))))
        return all_of(conditions)

    def trait(self, trait: Trait) -> exp.Expr:
        """The trait's value."""
        value, zone = trait.value, trait.header.time_zone
        if isinstance(value, Measure):
            return self.needs.measure(value, zone)
        if isinstance(value, Score):
            return self._score(value, zone)
        if isinstance(value, Choose):
            branches = [(known(self.rule(choice.when, zone)), text(choice.then)) for choice in value.choose]
            return _cases(branches, value.otherwise)
        return self._priority(trait.name, value) if isinstance(value, Priority) else self._ratio(value)

    def rule(self, rule: shapes.AnyRule, zone: str) -> exp.Expr:
        """The condition of a rule; NULL counts as no, and nothing turns it into yes."""
        if isinstance(rule, shapes.AllOf):
            return exp.and_(*(self.rule(part, zone) for part in rule.all_of))
        if isinstance(rule, shapes.AnyOf):
            return exp.or_(*(self.rule(part, zone) for part in rule.any_of))
        if isinstance(rule, shapes.NoneOf):
            return exp.Not(this=exp.paren(known(exp.or_(*(self.rule(part, zone) for part in rule.none_of)))))
        if isinstance(rule, shapes.Not):
            return exp.Not(this=known(self.rule(rule.negated, zone)))
        return self._leaf(rule, zone)

    def _leaf(self, rule: shapes.AnyRule, zone: str) -> exp.Expr:
        if isinstance(rule, shapes.EventRule):
            return self._compare(self.needs.measure(rule, zone), rule, zone)
        if isinstance(rule, shapes.TraitRule):
            return self._trait_rule(rule, zone)
        if isinstance(rule, shapes.SequenceRule):
            return self.needs.sequence(rule)
        if isinstance(rule, shapes.FollowRule):
            return self.needs.unfollowed(rule)
        if isinstance(rule, shapes.SegmentRule):
            return column(segment_column(rule.segment))
        return exp.true()

    def _trait_rule(self, rule: shapes.TraitRule, zone: str) -> exp.Expr:
        if rule.operator in PERCENT:
            is_top = rule.operator is Operator.TOP_PERCENT
            self.dues.append(unit_start(Unit.DAY, zone, 1))
            if rule.trait not in self.catalogue.traits:
                self.needs.attributes.add(rule.trait)
            return self.needs.percentile(Percentile(rule.trait, zone, str(rule.operand), is_top))
        is_defined = rule.trait in self.catalogue.traits
        value = column(trait_column(rule.trait)) if is_defined else self.needs.attribute(rule.trait)
        return self._compare(value, rule, zone)

    def _compare(self, value: exp.Expr, rule: Compared, zone: str) -> exp.Expr:
        operator = rule.operator
        if operator is None:
            return sql(":value >= 1", value=value)
        if operator is Operator.IS_NULL:
            return sql(":value is null" if rule.is_null else ":value is not null", value=value)
        if operator is Operator.IS_TRUE:
            return known(value) if rule.operand else exp.Not(this=known(value))
        if operator in (Operator.OLDER_THAN, Operator.NEWER_THAN):
            return self._aged(value, operator, rule.operand)
        values = [instant(item, zone) if isinstance(item, date) else item for item in rule.values]
        return compared(value, operator, values)

    def _aged(self, value: exp.Expr, operator: Operator, length: timedelta) -> exp.Expr:
        turn = sql(":value + :length", value=value, length=interval(length))
        self.dues.append(sql("case when :turn > :now then :turn2 end", turn=turn, now=now(), turn2=turn.copy()))
        return sql(":turn <= :now" if operator is Operator.OLDER_THAN else ":turn > :now", turn=turn.copy(), now=now())

    def _score(self, value: Score, zone: str) -> exp.Expr:
        terms: list[exp.Expr] = []
        for part in value.score:
            if isinstance(part, PointsEach):
                counted = self.needs.measure(part.each, zone)
                product = sql(":count * :points", count=counted, points=number(part.points))
                terms.append(exp.Anonymous(this="least", expressions=[product, number(part.at_most)]))
            else:
                rule = self.rule(part.when, zone)
                terms.append(sql("case when :rule then :points else 0 end", rule=rule, points=number(part.points)))
        total = terms[0]
        for term in terms[1:]:
            total = exp.Add(this=total, expression=term)
        return exp.cast(total, "bigint")

    def _priority(self, name: str, value: Priority) -> exp.Expr:
        branches: list[tuple[exp.Expr, exp.Expr]] = []
        for rank in sorted({choice.rank for choice in value.priority}):
            tied = [choice.segment for choice in value.priority if choice.rank == rank]
            members = {segment: column(segment_column(segment)) for segment in tied}
            if value.ties == "listed" or len(tied) == 1:
                branches += [(members[segment], text(segment)) for segment in tied]
                continue
            numbers = {segment: self._number(f"{name}{SEPARATOR}{segment}") for segment in tied}
            none = text("g")  # above every hex digit
            least = [
                sql("case when :is_in then :n else :none end", is_in=members[s].copy(), n=numbers[s], none=none.copy())
                for s in tied
            ]
            smallest = exp.Anonymous(this="least", expressions=least)
            branches += [
                (exp.and_(members[s], sql(":n = :least", n=numbers[s].copy(), least=smallest.copy())), text(s))
                for s in tied
            ]
        return _cases(branches, value.otherwise)

    def _ratio(self, value: Ratio) -> exp.Expr:
        of, to = (self._millionths(name) for name in (value.ratio.of, value.ratio.to))
        quotient = call("whole_quotient", dividend=sql(":of * 1000000", of=of), divisor=to)
        return sql(
            "case when :to <> 0 and abs(:of) < abs(:to2) * 1000000000000 then"
            " cast(cast(:quotient as decimal(18, 0)) * 0.000001 as decimal(18, 6)) end",
            to=to.copy(),
            of=of.copy(),
            to2=to.copy(),
            quotient=quotient,
        )

    def _millionths(self, name: str) -> exp.Expr:
        is_defined = name in self.catalogue.traits
        value = column(trait_column(name)) if is_defined else self.needs.attribute(name)
        return sql("cast(cast(:value as decimal(25, 6)) * 1000000 as decimal(31, 0))", value=value)

    def _number(self, salt: str) -> exp.Expr:
        """The assignment number of a profile (`jobs/core/assignment.py`)."""
        return sql(
            "substr(md5(concat(:salt, :profile)), 1, :digits)",
            salt=text(f"{salt}{SEPARATOR}"),
            profile=column("profile_id"),
            digits=number(DIGITS),
        )


def _cases(branches: list[tuple[exp.Expr, exp.Expr]], otherwise: str | None) -> exp.Expr:
    case = exp.Case(ifs=[exp.If(this=condition, true=result) for condition, result in branches])
    if otherwise is not None:
        case.set("default", text(otherwise))
    return case
