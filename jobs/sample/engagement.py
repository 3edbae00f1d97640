"""SIMULATED e-mail engagement: for each real campaign send a delivery, for some an opening, for a few a click.

Nothing that would be received after the sample's clock is written.
"""

from jobs.sample import shares
from jobs.sample.database import Database
from jobs.sample.writer import Landing

# A mean of x over households: their propensity is 3x times the square of a uniform draw, which has the mean 1/3.
EVENTS = """
create table engagement as
    with mailed as (
        select
            campaign_id || '-' || household_id as email_id, campaign_id, household_id, email,
            start_date + hours(8 + 4 * u('delivered:' || campaign_id || ':' || household_id)) as delivered_at,
            3 * {opened} * pow(u('opens:' || household_id), 2) as propensity
        from sends join people using (household_id)
    ), opened as (
        select *, delivered_at + hours(0.05 + {within} * pow(u('open_at:' || email_id), 3)) as opened_at
        from mailed where u('opened:' || email_id) < propensity
    ), events as (
        select 'delivered' as step, 'Email Delivered' as name, email_id, campaign_id, email, delivered_at as happened_at
        from mailed
        union all
        select 'opened', 'Email Opened', email_id, campaign_id, email, opened_at from opened
        union all
        select 'opened-again', 'Email Opened', email_id, campaign_id, email,
            opened_at + hours(30 * u('again_at:' || email_id))
        from opened where u('again:' || email_id) < {again}
        union all
        select 'clicked', 'Email Link Clicked', email_id, campaign_id, email,
            opened_at + seconds(5 + 60 * u('click_at:' || email_id))
        from opened where u('clicked:' || email_id) < {clicked}
    )
    select * from events where happened_at + hours({lag}) <= timestamp '{now}';
"""

MESSAGES = """
select
    '{{"messageId":"email-' || email_id || '-' || step || '","type":"track","event":"' || name
    || '","timestamp":"' || iso(happened_at)
    || '","receivedAt":"' || iso(happened_at + hours({lag})) || '","context":{{"traits":{{"email":' || to_json(email)::varchar
    || '}}}},"properties":{{"campaign_id":"' || campaign_id || '","email_id":"' || email_id || '"'
    || case when step = 'clicked' then ',"link_url":"https://shop.example.com/campaigns/' || campaign_id || '"' else '' end
    || '}}}}'
from engagement order by happened_at, email_id, step
"""


def create_engagement(database: Database) -> None:
    """Table `engagement`, one row per e-mail event: step, name, email_id, campaign_id, email, happened_at. Needs `people`."""
    database.run(
        EVENTS.format(
            opened=shares.EMAIL_OPENED,
            within=shares.EMAIL_OPENED_WITHIN_HOURS,
            again=shares.EMAIL_OPENED_AGAIN,
            clicked=shares.EMAIL_CLICKED_OF_OPENED,
            lag=shares.EMAIL_LAG.total_seconds() / 3600,
            now=f"{shares.SAMPLE_NOW:%Y-%m-%d %H:%M:%S}",
        )
    )


def write_engagement(database: Database, landing: Landing) -> None:
    """One file of e-mail events, in the order they happened."""
    query = MESSAGES.format(lag=shares.EMAIL_LAG.total_seconds() / 3600)
    landing.write_lines("sim_email", "engagement.ndjson.gz", database.texts(query))
