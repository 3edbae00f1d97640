"""The macros: what the engines write differently, from the same templates as the queries, and the lists of names."""

from pathlib import Path

from jobs.segments.compile.portable import PREFIX, TEMPLATES, filled
from jobs.segments.language.model import Catalogue
from jobs.segments.language.traits import Kind
from jobs.segments.render.models import EVERY, NOTICE

MACROS = Path("dbt_project") / "macros"
NUMBERS = (Kind.WHOLE, Kind.NUMBER)


def macros(catalogue: Catalogue) -> dict[Path, str]:
    """Path below the project → text, of both files of macros."""
    return {MACROS / "segments.sql": _functions(), MACROS / "segment_names.sql": _names(catalogue)}


def _functions() -> str:
    written = f"{{#- {NOTICE} jobs/segments/compile/portable.py -#}}\n"
    for name, (arguments, duckdb, spark) in TEMPLATES.items():
        taken = ", ".join(arguments)
        written += (
            f"\n{{%- macro {PREFIX}{name}({taken}) -%}}\n"
            f"    {{{{ return(adapter.dispatch('{PREFIX}{name}')({taken})) }}}}\n{{%- endmacro -%}}\n"
        )
        for engine, template in (("default", duckdb), ("spark", spark)):
            body = filled(template, {argument: f"{{{{ {argument} }}}}" for argument in arguments})
            written += f"\n{{%- macro {engine}__{PREFIX}{name}({taken}) -%}}\n    {body}\n{{%- endmacro -%}}\n"
    return written


def _names(catalogue: Catalogue) -> str:
    segments = "".join(f"        '{name}',\n" for name in sorted(catalogue.segments))
    traits = "".join(
        f"        ('{name}', {'true' if trait.kind in NUMBERS else 'false'}),\n"
        for name, trait in sorted(catalogue.traits.items())
    )
    return (
        f"{{#- {EVERY} -#}}\n"
        f"{{%- macro segment_names() -%}}\n    {{{{ return([\n{segments}    ]) }}}}\n{{%- endmacro -%}}\n\n"
        "{#- Name of each defined trait, and whether its value is a number. -#}\n"
        f"{{%- macro segment_traits() -%}}\n    {{{{ return([\n{traits}    ]) }}}}\n{{%- endmacro -%}}\n"
    )
