"""From files or headers to a Catalogue in which every name is known and every comparison has a meaning; or every problem."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.core.definition_files import DefinitionFile, Problem, label_of, read_file, read_folder, spoken
from jobs.core.definitions import SEGMENT_FOLDER, DefinitionError, SegmentHeader, TraitHeader
from jobs.segments.language import vocabulary as words
from jobs.segments.language.drafts import rule_findings, value_findings
from jobs.segments.language.judge import Finding, judge
from jobs.segments.language.model import Catalogue
from jobs.segments.language.traits import Kind
from jobs.segments.language.vocabulary import Vocabulary

DEFINITIONS = SEGMENT_FOLDER.parent
AnyFile = DefinitionFile[SegmentHeader] | DefinitionFile[TraitHeader]


@dataclass(frozen=True)
class Checked:
    """What was found in the files: the catalogue of what is right, problems, and remarks; sorted by file and line."""

    catalogue: Catalogue
    problems: list[Problem]
    remarks: list[Problem]


def load(
    folders: Path | Sequence[Path],
    attributes: Mapping[str, Kind] | None = None,
    *,
    vocabulary: Vocabulary | None = None,
) -> Catalogue:
    """The definitions in `traits/` and `segments/` of the folders; a project's root stands for its folder of definitions.

    Without `attributes` and `vocabulary` the contracts say which there are. Raises DefinitionError with every problem of all
    files, a line each.
    """
    checked = check(folders, attributes, vocabulary=vocabulary)
    if checked.problems:
        raise DefinitionError.of(checked.problems)
    return checked.catalogue


def check(
    folders: Path | Sequence[Path],
    attributes: Mapping[str, Kind] | None = None,
    *,
    vocabulary: Vocabulary | None = None,
    drafts: Iterable[Path] = (),
) -> Checked:
    """As `load`, but raises nothing. `drafts`: files from elsewhere, which stand in for those of the same name."""
    files = _Files()
    for folder in [folders] if isinstance(folders, Path) else folders:
        files.read(folder / DEFINITIONS if (folder / DEFINITIONS).is_dir() else folder)
    for path in drafts:
        files.draft(path)
    judged = judge(
        {name: file.item for name, file in files.traits.items()},
        {name: file.item for name, file in files.segments.items()},
        words.attributes() if attributes is None else attributes,
        words.of_contracts() if vocabulary is None else vocabulary,
        broken=frozenset(files.broken),
    )
    problems = [*files.problems, *(files.problem(one) for one in judged.wrong)]
    remarks = [files.problem(one) for one in judged.remarks]
    return Checked(judged.catalogue, sorted(set(problems)), sorted(set(remarks)))


def resolve(
    traits: Mapping[str, TraitHeader],
    segments: Mapping[str, SegmentHeader],
    attributes: Mapping[str, Kind],
    *,
    vocabulary: Vocabulary | None = None,
) -> Catalogue:
    """The catalogue of headers that come from no file. Without `vocabulary` any event and any property may be asked for.

    Raises DefinitionError with every problem, a line each.
    """
    judged = judge(traits, segments, attributes, vocabulary or Vocabulary())
    if judged.wrong:
        raise DefinitionError("\n".join(dict.fromkeys(map(_said, judged.wrong))))
    return judged.catalogue


def _said(one: Finding) -> str:
    return f"{'segments' if one.is_segment else 'traits'}/{one.name}.yml: {spoken(one.found.path, one.found.text)}"


class _Files:
    """The files of several folders by name."""

    def __init__(self) -> None:
        self.traits: dict[str, DefinitionFile[TraitHeader]] = {}
        self.segments: dict[str, DefinitionFile[SegmentHeader]] = {}
        self.problems: list[Problem] = []
        self.broken: set[str] = set()

    def read(self, folder: Path) -> None:
        """All files below the folder's `traits` and `segments`."""
        traits, wrong = read_folder(folder / "traits", TraitHeader, judge=value_findings)
        segments, wrong_too = read_folder(folder / "segments", SegmentHeader, judge=rule_findings)
        self.problems += [*wrong, *wrong_too, *_twice(self.traits, traits), *_twice(self.segments, segments)]
        self.broken |= {path.stem for path in (folder / "traits").glob("*.yml")} - set(traits)
        self.broken |= {path.stem for path in (folder / "segments").glob("*.yml")} - set(segments)
        self.traits |= traits
        self.segments |= segments

    def draft(self, path: Path) -> None:
        """One file from elsewhere; a trait when it has a value, or its folder is called so."""
        if path.parent.name == "traits" or b"\nvalue:" in b"\n" + path.read_bytes():
            trait, wrong = read_file(path, TraitHeader, judge=value_findings)
            self.traits |= {path.stem: trait} if trait else {}
        else:
            segment, wrong = read_file(path, SegmentHeader, judge=rule_findings)
            self.segments |= {path.stem: segment} if segment else {}
        self.problems = [one for one in self.problems if one.label != label_of(path)] + wrong

    def problem(self, one: Finding) -> Problem:
        """The finding with the line it stands on."""
        file: AnyFile = self.segments[one.name] if one.is_segment else self.traits[one.name]
        return file.problem(one.found.path, one.found.text)


def _twice(known: Mapping[str, AnyFile], found: Mapping[str, AnyFile]) -> list[Problem]:
    return [
        file.problem(("name",), f"{name} is defined in another folder too; rename one of them")
        for name, file in found.items()
        if name in known
    ]
