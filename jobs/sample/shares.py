"""Every number that the simulated layer is made from, in one place. What is here is also printed by `c360 sample describe`.

The real layer has no number of its own: it is the data package, line by line. Its source names carry no prefix; the
sources of the simulated layer all start with `sim_`.
"""

from datetime import UTC, datetime, timedelta

# Raised whenever the same seed would give other bytes.
GENERATOR_VERSION = 1
# The instant at which the sample is looked at: the day after the package's last order. Nothing is received later.
SAMPLE_NOW = datetime(2018, 1, 2, tzinfo=UTC)

# Time between an event and its receipt.
POS_LAG = timedelta(minutes=5)
SENDS_LAG = timedelta(hours=1)
REDEMPTIONS_LAG = timedelta(hours=24)
EMAIL_LAG = timedelta(minutes=10)
WEB_LAG_SECONDS = (1, 30)
LATE_LAG_HOURS = (1, 72)

# Web: how many sessions, and what happens in one.
BASKETS_WITH_SESSION = (0.10, 0.72)  # each household's own share lies in this range
BROWSING_SESSIONS = (2, 12)  # sessions a year without a basket near them
SESSION_AROUND_BASKET_HOURS = (-48, 24)
VISITORS_SHARE = 0.05  # anonymous-only visitors, of all visitors
VISITOR_SESSIONS = (1, 8)
VIEWS_PER_SESSION = (1, 4)
VIEWED_FROM_BASKET = 0.45
VIEWED_FROM_SAME_TYPE = 0.40  # the rest is taken from the best sellers
BEST_SELLERS = 500
SESSIONS_WITH_SEARCH = 0.40
VIEWS_WITH_ADD = 0.45
ADDS_WITH_REMOVAL = 0.08
CARTS_ABANDONED = 0.25
MEAN_DWELL_SECONDS = 40
BROWSERS_AT_MOST = 3  # of a household, each with its own anonymous id
BROWSERS_WITH_LOGIN = 0.80  # of the browsers of households
SESSIONS_WITH_LOGIN = 0.35  # of the sessions on such a browser
LOGINS_WITH_SHOUTED_EMAIL = 0.05  # typed in capitals
LOGINS_WITH_PREFERENCES = 0.02
BROWSERS_DENYING_ANALYTICS = 0.02
SESSIONS_WITHOUT_CONSENT = 0.10

# Web: what goes wrong on the way.
DUPLICATES = 0.01
DUPLICATE_DELAY_HOURS = 24
LATE = 0.01
BROKEN = 0.002
# Broken on purpose -> the reason code that a contract check is expected to give.
BROKEN_KINDS = {
    "truncated_json": "malformed_json",
    "no_message_id": "missing_event_id",
    "no_product_id": "missing_property",
    "quantity_is_text": "wrong_type",
    "unknown_event_name": "unknown_event",
    "timestamp_is_a_word": "bad_timestamp",
    "no_identifier": "missing_identifier",
    "quantity_is_huge": "out_of_range",
}
BROKEN_PER_KIND_AT_LEAST = 2

# E-mail: a message per real campaign send. Each household has its own propensity; these are the means.
EMAIL_OPENED = 0.30
EMAIL_CLICKED_OF_OPENED = 0.20
EMAIL_OPENED_AGAIN = 0.15
EMAIL_OPENED_WITHIN_HOURS = 96

# People: who is in the CRM and what they allow (granted, denied; the rest is silent).
PEOPLE_MISSING = 0.03
MARKETING_CONSENT = (0.70, 0.15)
PROFILING_CONSENT = (0.80, 0.10)
SHARING_CONSENT = (0.40, 0.40)


def stated() -> dict[str, object]:
    """Name → value of every share above, for the plan."""
    values = {name.lower(): value for name, value in globals().items() if name.isupper() and name != "UTC"}
    return {name: str(value) if isinstance(value, datetime | timedelta) else value for name, value in values.items()}
