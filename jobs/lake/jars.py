"""The jars that Spark needs for Delta: fetched once by Ivy, which Spark ships, and checked against `infra/spark-jars`.

`infra/spark-jars/ivy.xml` names the modules, `infra/spark-jars/sha256sums.txt` what their bytes must be.
"""

import logging
import subprocess
from pathlib import Path

import pyspark

from jobs.core.errors import PermanentError, RetryableError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings, find_java

log = logging.getLogger(__name__)
JAVA_REMEDY = (
    "Java 17 or 21 is needed and was not found; on Debian or Ubuntu: apt-get install -y openjdk-17-jre-headless"
)


def expected_sums(settings: Settings) -> dict[str, str]:
    """Jar file name → sha256 hex digest, from the committed list."""
    listing = settings.project_root / "infra" / "spark-jars" / "sha256sums.txt"
    pairs = (line.split() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def require_java() -> str:
    """Path of java; raises PermanentError with the remedy."""
    java = find_java()
    if java is None:
        raise PermanentError(JAVA_REMEDY)
    return java


def verify(settings: Settings) -> list[Path]:
    """The local jar paths in order; raises PermanentError when one is missing or its bytes differ from the list."""
    folder = settings.home / "jars"
    expected = expected_sums(settings)
    missing = [name for name in expected if not (folder / name).exists()]
    if missing:
        raise PermanentError(f"Spark jars missing in {folder}: {', '.join(missing)}; run: c360 lake fetch-jars")
    changed = [name for name, digest in expected.items() if hash_file(folder / name) != digest]
    if changed:
        raise PermanentError(
            f"refused: {', '.join(changed)} in {folder} differ from infra/spark-jars/sha256sums.txt; "
            "delete them and run: c360 lake fetch-jars"
        )
    return [folder / name for name in expected]


def fetch(settings: Settings) -> list[Path]:
    """Brings the jars into `C360_HOME/jars` unless they are there; verifies either way."""
    folder = settings.home / "jars"
    if expected_sums(settings) and all((folder / name).exists() for name in expected_sums(settings)):
        return verify(settings)
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        require_java(),
        f"-Divy.default.ivy.user.dir={folder / 'ivy'}",
        "-cp",
        str(Path(pyspark.__file__).parent / "jars" / "*"),
        "org.apache.ivy.Main",
        "-ivy",
        str(settings.project_root / "infra" / "spark-jars" / "ivy.xml"),
        "-types",
        "jar",
        "bundle",
        "-retrieve",
        str(folder / "[artifact]-[revision].[ext]"),
    ]
    log.info("fetching the Spark jars into %s", folder)
    done = subprocess.run(command, env=settings.child_environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise RetryableError(
            f"could not fetch the Spark jars ({tail}); check the network and run: c360 lake fetch-jars"
        )
    return verify(settings)
