"""The jars that Spark needs: fetched once by Ivy, which Spark ships, and checked against their sha256 sums.

They come in groups, each a folder of `infra/`: its `ivy.xml` names the modules, its `sha256sums.txt` what their bytes must
be. `spark-jars` (Delta) is always needed, `kafka-jars` where Kafka is used.
"""

import logging
import subprocess
from pathlib import Path

import pyspark

from jobs.core.errors import PermanentError, RetryableError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings, find_java

log = logging.getLogger(__name__)
DELTA, KAFKA = "spark-jars", "kafka-jars"
JAVA_REMEDY = (
    "Java 17 or 21 is needed and was not found; on Debian or Ubuntu: apt-get install -y openjdk-17-jre-headless"
)


def groups_of(settings: Settings) -> tuple[str, ...]:
    """The groups that these settings need."""
    return (DELTA, KAFKA) if settings.kafka_bootstrap_servers else (DELTA,)


def expected_sums(settings: Settings, group: str = DELTA) -> dict[str, str]:
    """Jar file name → sha256 hex digest, from the committed list."""
    listing = settings.project_root / "infra" / group / "sha256sums.txt"
    pairs = (line.split() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in pairs}


def require_java() -> str:
    """Path of java; raises PermanentError with the remedy."""
    java = find_java()
    if java is None:
        raise PermanentError(JAVA_REMEDY)
    return java


def verify(settings: Settings, group: str = DELTA) -> list[Path]:
    """The local jar paths in order; raises PermanentError when one is missing or its bytes differ from the list."""
    folder = settings.home / "jars"
    expected = expected_sums(settings, group)
    missing = [name for name in expected if not (folder / name).exists()]
    if missing:
        command = "c360 lake fetch-jars" + (" --kafka" if group == KAFKA else "")
        raise PermanentError(f"Spark jars missing in {folder}: {', '.join(missing)}; run: {command}")
    changed = [name for name, digest in expected.items() if hash_file(folder / name) != digest]
    if changed:
        raise PermanentError(
            f"refused: {', '.join(changed)} in {folder} differ from infra/{group}/sha256sums.txt; "
            "delete them and run: c360 lake fetch-jars"
        )
    return [folder / name for name in expected]


def fetch(settings: Settings, group: str = DELTA) -> list[Path]:
    """Brings the jars of a group into `C360_HOME/jars` unless they are there; verifies either way."""
    folder = settings.home / "jars"
    expected = expected_sums(settings, group)
    if expected and all((folder / name).exists() for name in expected):
        return verify(settings, group)
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        require_java(),
        f"-Divy.default.ivy.user.dir={folder / 'ivy'}",
        "-cp",
        str(Path(pyspark.__file__).parent / "jars" / "*"),
        "org.apache.ivy.Main",
        "-ivy",
        str(settings.project_root / "infra" / group / "ivy.xml"),
        "-types",
        "jar",
        "bundle",
        "-retrieve",
        str(folder / "[artifact]-[revision].[ext]"),
    ]
    log.info("fetching the jars of infra/%s into %s", group, folder)
    done = subprocess.run(command, env=settings.child_environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise RetryableError(
            f"could not fetch the Spark jars ({tail}); check the network and run: c360 lake fetch-jars"
        )
    return verify(settings, group)
