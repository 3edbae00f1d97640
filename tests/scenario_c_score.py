"""What identity makes of a world of scenario C, against its truth."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scenario_c import Identifier, World, user

from jobs.core.settings import Settings
from jobs.identity.rules import Rules, load_rules
from jobs.lake import delta


def mapping(settings: Settings) -> dict[Identifier, str]:
    """Identifier → profile id, as the last run left it."""
    table = delta.read(settings, "profile_identifiers")
    pairs = zip(table["identifier_type"].to_pylist(), table["identifier_value"].to_pylist(), strict=True)
    return dict(zip(pairs, table["profile_id"].to_pylist(), strict=True))


@dataclass(frozen=True)
class Score:
    """Pairs of identifiers that have one owner each: in one profile and of one person, in one profile, of one person."""

    both: int
    joined: int
    true: int

    @property
    def precision(self) -> float:
        """Of the pairs in one profile, the share that is one person's."""
        return self.both / self.joined if self.joined else 1.0

    @property
    def recall(self) -> float:
        """Of the pairs of one person, the share that is in one profile."""
        return self.both / self.true if self.true else 1.0


@dataclass(frozen=True)
class Findings:
    """Figures of one world: `merged[attack]` of `pairs[attack]` pairs of people are one profile, `alone[attack]` of its planted
    identifiers stand alone, out of those that were seen."""

    score: Score
    profiles: int
    biggest: int
    over_limit: int
    merged: Mapping[str, tuple[int, int]]
    alone: Mapping[str, tuple[int, int]]

    def lines(self) -> Iterator[str]:
        """For a reader."""
        yield f"pairwise precision {self.score.precision:.4f}, recall {self.score.recall:.4f}"
        yield f"{self.profiles:,} profiles, the biggest of {self.biggest} identifiers, {self.over_limit} over a limit"
        for attack, (joined, pairs) in self.merged.items():
            yield f"{attack}: {joined:,} of {pairs:,} pairs of people joined"
        for attack, (alone, seen) in self.alone.items():
            yield f"{attack}: {alone:,} of {seen:,} identifiers in a profile stand alone"


def pairs_of(groups: Iterable[object]) -> int:
    """Pairs within equal groups."""
    return sum(count * (count - 1) // 2 for count in Counter(groups).values())


def score(found: Mapping[Identifier, str], owner: Mapping[Identifier, int]) -> Score:
    """Over identifiers that were seen and have one owner."""
    both = [(profile_id, owner[identifier]) for identifier, profile_id in found.items() if identifier in owner]
    return Score(pairs_of(both), pairs_of(p for p, _ in both), pairs_of(o for _, o in both))


def over_limit(found: Mapping[Identifier, str], rules: Rules) -> int:
    """Profiles with more identifiers of a type than its limit."""
    counts = Counter((profile_id, kind) for (kind, _), profile_id in found.items())
    return len({profile_id for (profile_id, kind), count in counts.items() if count > rules.types[kind].limit})


def examine(settings: Settings, world: World) -> Findings:
    """The figures of the last run in this home."""
    found = mapping(settings)
    sizes = Counter(found.values())
    merged = {
        attack: (sum(_are_one(found, a, b) for a, b in people), len(people)) for attack, people in world.pairs.items()
    }
    alone = {}
    for attack, identifiers in world.shared.items():
        profiles = [found[identifier] for identifier in identifiers if identifier in found]
        alone[attack] = (sum(sizes[profile_id] == 1 for profile_id in profiles), len(profiles))
    return Findings(
        score(found, world.owner), len(sizes), max(sizes.values()), over_limit(found, load_rules()), merged, alone
    )


def _are_one(found: Mapping[Identifier, str], one: int, other: int) -> bool:
    owners = [found.get(("user_id", user(person))) for person in (one, other)]
    return owners[0] is not None and owners[0] == owners[1]
