"""Time-ordered split: what is learnt always lies before what is predicted. Cuts follow from the as-of time alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.core.errors import PermanentError
from models.base import Purchases

WINDOW = timedelta(weeks=4)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - EPOCH) // MICROSECOND


@dataclass(frozen=True)
class TimeSplit:
    """history < validation_start <= validation < test_start <= test <= as_of; the windows are four weeks each."""

    validation_start_us: int
    test_start_us: int
    as_of_us: int

    @classmethod
    def before(cls, as_of: datetime) -> "TimeSplit":
        """The split whose test window ends at `as_of`, which it includes."""
        return cls(to_us(as_of - 2 * WINDOW), to_us(as_of - WINDOW), to_us(as_of))

    def validation(self, purchases: Purchases) -> tuple[Purchases, Purchases]:
        """(history, future) for tuning."""
        return (
            purchases.between(None, self.validation_start_us),
            purchases.between(self.validation_start_us, self.test_start_us),
        )

    def test(self, purchases: Purchases) -> tuple[Purchases, Purchases]:
        """(history, future) for the final figures; the history includes the validation window."""
        return purchases.between(None, self.test_start_us), purchases.between(self.test_start_us, self.as_of_us + 1)

    def require_windows(self, purchases: Purchases) -> None:
        """Raises PermanentError when a window holds no purchases, since nothing could be tuned or judged then."""
        parts = (*self.validation(purchases), self.test(purchases)[1])
        names = ("the time before the validation window", "the validation window", "the test window")
        empty = [name for name, part in zip(names, parts, strict=True) if not len(part)]
        if empty:
            raise PermanentError(
                f"models need orders in each of the two four-week windows before the clock; none in {', '.join(empty)}; "
                "load newer orders, or set C360_NOW to the time of the data"
            )
