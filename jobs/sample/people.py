"""SIMULATED people: a name, an e-mail, a phone and consents for each household of the package.

E-mails are at example.com, example.org and example.net (RFC 2606); phones are in the area code 555, which nobody has.
"""

from jobs.sample import shares
from jobs.sample.database import Database
from jobs.sample.writer import Landing

FIRST_NAMES = (
    "Ada", "Amir", "Ana", "Ben", "Carla", "Chen", "Clara", "Dana", "David", "Elif", "Emma", "Eva", "Felix", "Grace",
    "Hana", "Hugo", "Ida", "Ivan", "Jana", "Jonas", "Kofi", "Lara", "Leo", "Lina", "Luis", "Maria", "Mei", "Milan",
    "Nadia", "Nina", "Noah", "Olga", "Omar", "Paul", "Priya", "Rosa", "Sam", "Sofia", "Tariq", "Tom", "Uma", "Vera",
    "Yusuf", "Zoe",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Alvarez", "Baker", "Becker", "Brown", "Chan", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Green",
    "Haddad", "Hansen", "Ito", "Jensen", "Khan", "Klein", "Kovacs", "Lee", "Lopez", "Martin", "Mensah", "Miller",
    "Moreau", "Nguyen", "Novak", "Okafor", "Patel", "Petrov", "Reyes", "Rossi", "Sato", "Schmidt", "Silva", "Singh",
    "Stone", "Tanaka", "Torres", "Weber", "White", "Wood", "Young", "Zhang",
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net")

PEOPLE = """
create macro consent(key, granted, denied) as
    case when u(key) < granted then 'granted' when u(key) < granted + denied then 'denied' end;
create table people as
    with named as (
        select
            household_id, 'u-' || household_id as user_id,
            {first}[between_u('first:' || household_id, 1, {first_count})] as first_name,
            {last}[between_u('last:' || household_id, 1, {last_count})] as last_name,
            {domains}[between_u('domain:' || household_id, 1, {domain_count})] as domain
        from households
    )
    select
        household_id, user_id, first_name, last_name,
        lower(first_name) || '.' || lower(last_name) || household_id || '@' || domain as email,
        '+1555' || lpad((2000000 + household_id * 37)::varchar, 7, '0') as phone,
        consent('marketing:' || household_id, {marketing[0]}, {marketing[1]}) as marketing_consent,
        consent('profiling:' || household_id, {profiling[0]}, {profiling[1]}) as profiling_consent,
        consent('sharing:' || household_id, {sharing[0]}, {sharing[1]}) as sharing_consent,
        u('crm:' || household_id) >= {missing} as is_in_crm
    from named;
"""
HEADER = (
    "person_id", "household_id", "user_id", "first_name", "last_name", "email", "phone",
    "marketing_consent", "profiling_consent", "sharing_consent",
)  # fmt: skip
EXPORT = """
select
    'crm-' || household_id, household_id, user_id, first_name, last_name, email, phone,
    marketing_consent, profiling_consent, sharing_consent
from people where is_in_crm order by household_id
"""


def create_people(database: Database) -> None:
    """Table `people`, one row per chosen household; `is_in_crm` is false for the few that the CRM does not know."""
    names = {"first": FIRST_NAMES, "last": LAST_NAMES, "domains": DOMAINS}
    database.run(
        PEOPLE.format(
            **{name: str(list(values)) for name, values in names.items()},
            first_count=len(FIRST_NAMES),
            last_count=len(LAST_NAMES),
            domain_count=len(DOMAINS),
            marketing=shares.MARKETING_CONSENT,
            profiling=shares.PROFILING_CONSENT,
            sharing=shares.SHARING_CONSENT,
            missing=shares.PEOPLE_MISSING,
        )
    )


def write_people(database: Database, landing: Landing) -> None:
    """The CRM export of persons."""
    landing.write_csv("sim_crm_people", "people.csv", HEADER, database.batches(EXPORT))
