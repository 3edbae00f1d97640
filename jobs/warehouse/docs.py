"""The dbt docs site as one HTML file: models, columns, tests, lineage and exposures; opened without a server or a network."""

import shutil
from datetime import datetime
from pathlib import Path

import yaml

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import duck
from jobs.warehouse.dbt import docs_arguments, invoke_dbt, profile
from jobs.warehouse.private import private_folder
from jobs.warehouse.reading import Reading

# The page carries a tracker of its maker, switched off by our project; the browser is told to reach nothing whatever it says.
OFFLINE = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)


def write_docs(settings: Settings, as_of: datetime, to: Path) -> Path:
    """Makes or replaces `index.html` in the folder; returns its path.

    With a published warehouse it also shows types and sizes of the tables, read from a copy, so that no reader is
    disturbed; without one it shows the project alone. Raises PermanentError when the project does not parse.
    """
    to.mkdir(parents=True, exist_ok=True)
    with private_folder(settings, "docs-") as folder:
        database = folder / "c360.duckdb"
        has_tables = settings.warehouse_file.exists()
        if has_tables:
            shutil.copyfile(settings.warehouse_file, database)
        duck.connect(settings, database).close()  # puts the Delta extension where dbt looks for it
        (folder / "profiles.yml").write_text(yaml.safe_dump(profile(settings, database)), encoding="utf-8")
        invoke_dbt(docs_arguments(settings, Reading(as_of, {}), folder, with_tables=has_tables))
        page = folder / "target" / "static_index.html"
        if not page.exists():
            raise PermanentError("dbt made no page; run `c360 warehouse build` and look at what it says")
        draft = to / ".index.html.partial"
        text = page.read_text(encoding="utf-8")
        if "<head>" not in text:
            raise PermanentError("dbt's page has no <head> to forbid the network in; it was not written")
        draft.write_text(text.replace("<head>", f"<head>{OFFLINE}", 1), encoding="utf-8")
        draft.replace(to / "index.html")
    return to / "index.html"
