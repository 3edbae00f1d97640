"""Settings for tests: a home of their own, the sample's clock, the Spark jars of the checkout."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.core.settings import PROJECT_ROOT, Settings

SHARED_HOME = PROJECT_ROOT / ".c360-test"
SAMPLE_NOW = datetime(2018, 1, 2, tzinfo=UTC)


def make_settings(home: Path, **overrides: Any) -> Settings:
    """Settings on the sample's clock with `home` as C360_HOME; its jars are the shared ones. Reads no environment."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("jars", "duckdb/extensions"):  # the same for all, and 80 MB to unpack
        shared = SHARED_HOME / name
        shared.mkdir(parents=True, exist_ok=True)
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        if not (home / name).exists():
            (home / name).symlink_to(shared, target_is_directory=True)
    return Settings.model_validate({"home": home, "now": SAMPLE_NOW, "log_level": "WARNING"} | overrides)


# With C1 alone the JVM's default code cache is 48 MB, which the plans of a hundred models fill: then it stops compiling, or dies.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
# A plan over a few rows is read faster than it is compiled. What users run compiles: the end-to-end lane does.
SMALL_PLANS = {
    "spark.driver.extraJavaOptions": f"{QUICK_JAVA} -Duser.timezone=UTC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
