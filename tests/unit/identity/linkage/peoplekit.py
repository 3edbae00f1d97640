"""SIMULATED records of people: each person some times, with the slips that people and clerks make."""

import random
import string
from datetime import date, timedelta

Record = dict[str, str | None]
GIVEN = [
    "anna",
    "ben",
    "clara",
    "david",
    "emma",
    "frank",
    "greta",
    "hugo",
    "ines",
    "jonas",
    "karin",
    "luis",
    "maria",
    "nils",
    "olga",
    "paul",
    "rosa",
    "stefan",
    "tina",
    "uwe",
]
SURNAME = [
    "adler",
    "becker",
    "castro",
    "dietz",
    "engel",
    "fischer",
    "garcia",
    "huber",
    "ito",
    "jansen",
    "keller",
    "lopez",
    "moreau",
    "novak",
    "okafor",
    "peters",
]
CITY = ["aachen", "basel", "cordoba", "dover", "essen", "florence", "ghent", "hull"]


def slip(text: str, draw: random.Random) -> str:
    """One letter dropped, doubled, swapped or wrong."""
    at = draw.randrange(len(text))
    wrong = draw.choice(string.ascii_lowercase if text[at].isalpha() else string.digits)
    return draw.choice([
        text[:at] + text[at + 1 :],
        text[: at + 1] + text[at:],
        text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
        text[:at] + wrong + text[at + 1 :],
    ])  # fmt: skip


def person(number: int, draw: random.Random) -> Record:
    """All that is true of one."""
    given, surname = draw.choice(GIVEN), draw.choice(SURNAME)
    born = date(1940, 1, 1) + timedelta(days=draw.randrange(24_000))
    return {
        "given_name": given,
        "surname": surname,
        "birth_date": born.isoformat(),
        "email": f"{given}.{surname}{number}@example.com",
        "phone": f"+49 555 {draw.randrange(10**6):06d}",
        "city": draw.choice(CITY),
    }


def people(count: int, seed: int, most: int = 4) -> list[Record]:
    """1 to `most` records of each person; three columns in ten are slipped in, one in eight is empty. Shuffled."""
    draw = random.Random(seed)
    records: list[Record] = []
    for number in range(count):
        true = person(number, draw)
        for copy in range(draw.randint(1, most)):
            record: Record = {"id": f"r{number}-{copy}", "entity": f"e{number}"}
            for column, value in true.items():
                kept = value if draw.random() > 0.3 else slip(str(value), draw)
                record[column] = None if draw.random() < 0.125 else kept
            records.append(record)
    draw.shuffle(records)
    return records
