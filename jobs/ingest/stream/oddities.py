"""What is odd about the numbers of an event that is kept all the same. Column expressions over literals: no state, no join."""

from collections.abc import Sequence
from functools import reduce
from itertools import groupby

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.ingest.outliers import Bound


def outlier_marks(bounds: Sequence[Bound]) -> list[Column]:
    """`outlier:<property>` or NULL, one column per property that has bounds; `bounds` sorted by event and property."""
    marks = []
    for (event, field), group in groupby(bounds, key=lambda bound: (bound.event, bound.field)):
        value = F.col("p")[field].try_cast("double")
        beyond = [(F.col("source") == bound.source) & ((value < bound.low) | (value > bound.high)) for bound in group]
        is_outlier = (F.col("name") == event) & reduce(lambda a, b: a | b, beyond)
        marks.append(F.when(is_outlier, F.lit(f"outlier:{field}")))
    return marks
