"""Names of the landing files that the sample writes, to tell them from files of one's own; light, no engine."""

import json
import re
from pathlib import Path

from jobs.core.settings import Settings

# Source -> pattern of its file names; orders and web come as a file a month.
SAMPLE_FILES = {
    "pos": re.compile(r"orders_\d{4}_\d{2}\.ndjson\.gz"),
    "campaign_sends": re.compile(r"sends\.ndjson\.gz"),
    "coupon_redemptions": re.compile(r"redemptions\.ndjson\.gz"),
    "catalog": re.compile(r"products\.csv\.gz"),
    "crm_households": re.compile(r"households\.csv"),
    "crm_campaigns": re.compile(r"campaigns\.csv"),
    "crm_coupons": re.compile(r"coupons\.csv\.gz"),
    "sim_crm_people": re.compile(r"people\.csv"),
    "sim_email": re.compile(r"engagement\.ndjson\.gz"),
    "sim_web": re.compile(r"web_\d{4}_\d{2}\.ndjson\.gz"),
}


def marker_file(settings: Settings) -> Path:
    """Says which sample this home holds; written when the sample is whole."""
    return settings.home / "sample.json"


def held_households(settings: Settings) -> int | None:
    """Number of households that the sample of this home was made with; None for all of them, or when there is none."""
    try:
        recipe = json.loads(marker_file(settings).read_text(encoding="utf-8"))["recipe"]
        return int(recipe["households"]) if recipe["households"] else None
    except (OSError, ValueError, KeyError, TypeError):  # `c360 sample generate` says what is wrong with it
        return None


def own_files(settings: Settings) -> list[Path]:
    """Files in landing/ that are not the sample's, below landing/, sorted. Hidden ones are still being written: left out."""
    files = (path.relative_to(settings.landing) for path in settings.landing.glob("*/**/*") if path.is_file())
    return sorted(file for file in files if not _is_hidden(file) and not _is_of_sample(file))


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.parts)


def _is_of_sample(file: Path) -> bool:
    pattern = SAMPLE_FILES.get(file.parts[0])
    return pattern is not None and len(file.parts) == 2 and pattern.fullmatch(file.name) is not None
