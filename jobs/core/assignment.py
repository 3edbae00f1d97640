"""One way to assign profiles to shares: holdouts, arms, even ties. A hash decides, so that it is the same everywhere and always.

The number of a profile under a salt is the first 15 hex digits of md5 of `salt|profile_id`, as a share of 16^15. Hex digits
compare as texts as they do as numbers, so that SQL on every engine decides alike: `md5(...)` cut to 15 < threshold(share).
"""

import hashlib

DIGITS = 15
SEPARATOR = "|"


def number(salt: str, profile_id: str) -> str:
    """15 hex digits, evenly spread over profiles and independent between salts."""
    digest = hashlib.md5(f"{salt}{SEPARATOR}{profile_id}".encode(), usedforsecurity=False)
    return digest.hexdigest()[:DIGITS]


def threshold(share: float) -> str:
    """What the number of a profile in the lowest `share` (0 to below 1) lies below."""
    if not 0 <= share < 1:
        raise ValueError(f"a share is from 0 to below 1; found {share}")
    return format(int(share * 16**DIGITS), f"0{DIGITS}x")


def in_share(salt: str, profile_id: str, share: float) -> bool:
    """Whether the profile is in the lowest share under the salt."""
    return number(salt, profile_id) < threshold(share)
