"""The one SparkSession: Delta from local, verified jars; one machine unless `C360_SPARK_MASTER` says otherwise."""

import logging

from pyspark import SparkContext
from pyspark.sql import SparkSession

from jobs.core.settings import Settings, set_process_variables
from jobs.lake.jars import groups_of, require_java, verify

log = logging.getLogger(__name__)
JVM_OPTIONS = "-XX:+UseParallelGC -XX:-DontCompileHugeMethods"

# Where the judgement of many sources at once does not fit one method of the JVM, Spark says so in 400 lines of stack
# trace and goes on without it, as it is meant to; a plan that cannot be run at all raises.
CODE_GENERATOR = "org.apache.spark.sql.catalyst.expressions.codegen.CodeGenerator"


def spark_options(settings: Settings) -> dict[str, str]:
    """Session options; each one that is not a default of Spark says why in stack-facts terms."""
    work = settings.home / "spark"
    return {
        "spark.jars": ",".join(str(path) for group in groups_of(settings) for path in verify(settings, group)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        # The judgement of a row is one big method, which the JVM would otherwise only interpret.
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC -Dderby.system.home={work} {JVM_OPTIONS}",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(work / "warehouse"),
        "spark.local.dir": str(work / "local"),
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),  # 200 costs 2.5-3.6x the CPU on two cores
        "spark.databricks.delta.snapshotPartitions": "2",  # default 50 tasks per snapshot
        "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",  # older readers are locked out
        "spark.sql.adaptive.enabled": "false",
        # Parsed JSON stays in structs, which these two would take apart into a hundred columns of every row.
        "spark.sql.optimizer.expression.nestedPruning.enabled": "false",
        "spark.sql.optimizer.nestedSchemaPruning.enabled": "false",
        # A micro-batch needs about 170 compiled plans; with the default of 100 each batch would compile all of them again.
        "spark.sql.codegen.cache.maxEntries": "2000",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.files.maxPartitionBytes": "64m",
    }


def open_session(settings: Settings, app_name: str, **extra: str) -> SparkSession:
    """Starts (or returns) the process's session. Raises PermanentError when Java or a jar is missing or changed."""
    require_java()
    for folder in ("warehouse", "local"):  # spills hold raw values: closed to others
        (settings.home / "spark" / folder).mkdir(parents=True, exist_ok=True)
    (settings.home / "spark").chmod(0o700)
    set_process_variables({"SPARK_LOCAL_IP": "127.0.0.1"})
    builder = SparkSession.builder.master(settings.spark_master).appName(app_name)
    for key, value in (spark_options(settings) | extra).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    _silence(session, CODE_GENERATOR)
    session.sparkContext.setCheckpointDir(str(settings.home / "spark" / "local" / "checkpoints"))
    return session


def _silence(session: SparkSession, logger: str) -> None:
    """`setLogLevel` knows one level for all loggers."""
    assert session._jvm is not None
    log4j = session._jvm.org.apache.logging.log4j
    log4j.core.config.Configurator.setLevel(logger, log4j.Level.OFF)


def end_session(session: SparkSession) -> None:
    """Stops the session and ends its JVM, which would keep its gigabytes as long as this process lives."""
    session.stop()
    gateway = SparkContext._gateway
    if gateway is None:
        return
    gateway.shutdown()
    jvm = gateway.proc  # it goes when its standard input ends
    jvm.stdin.close()
    jvm.wait()
    SparkContext._gateway = SparkContext._jvm = None
