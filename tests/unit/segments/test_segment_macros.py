"""The macros of the dbt models make the very SQL that the queries elsewhere have, on both engines."""

from typing import Any

import jinja2
import pytest
from languagekit import catalogue, segment, trait

from jobs.core.settings import PROJECT_ROOT
from jobs.segments.compile.portable import TEMPLATES, Engine
from jobs.segments.compile.program import compiled
from jobs.segments.language.catalogue import load
from jobs.segments.language.model import Catalogue

MACROS = (PROJECT_ROOT / "dbt_project" / "macros" / "segments.sql").read_text(encoding="utf-8")
PREFIXES = {Engine.DUCKDB: "default", Engine.SPARK: "spark"}


class Adapter:
    """dbt's, as far as the macros ask for it."""

    def __init__(self, prefix: str, module: Any = None) -> None:
        self.prefix, self.module = prefix, module

    def dispatch(self, name: str) -> Any:
        return getattr(self.module, f"{self.prefix}__{name}")


def as_dbt(text: str, engine: Engine) -> str:
    """The model's text as dbt would make it on the target."""
    environment = jinja2.Environment(autoescape=False)
    known = {"adapter": Adapter(PREFIXES[engine]), "return": lambda value: value}
    environment.globals.update(known)
    module = environment.from_string(MACROS).module
    known["adapter"].module = module
    return environment.from_string(text).render({name: getattr(module, name) for name in dir(module)})


def everything() -> Catalogue:
    """A catalogue that needs every function that the engines write differently."""
    return catalogue(
        trait("shown_first", "{event: Product Viewed, first_value: category}"),
        trait("shown_last", "{event: Product Viewed, last_value: category}"),
        trait("share", "ratio: {of: coupons_redeemed, to: order_count}"),
        segment("spent", "{event: Order Completed, sum: total, this: month, gt: 5}", time_zone="Europe/Berlin"),
        segment("unnamed", "{event: Product Viewed, where: [{property: category, is_null: true}]}"),
        segment("carted", "sequence: [{event: Product Viewed}, {event: Product Added, within: 1 hour}]"),
    )


@pytest.mark.parametrize("engine", PREFIXES)
def test_a_model_is_the_query(engine: Engine) -> None:
    for made in (everything(), load(PROJECT_ROOT)):
        program = compiled(made)
        rendered = as_dbt(program.query(Engine.DBT), engine)
        assert " ".join(rendered.split()) == " ".join(program.query(engine).split())


def test_every_function_is_tried() -> None:
    text = compiled(everything()).query(Engine.DBT)
    assert [name for name in TEMPLATES if f"segment_{name}(" not in text] == []
