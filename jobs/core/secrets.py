"""Secrets of other people's systems (tokens, passwords): one file each, named in definitions, never written there."""

import re

from jobs.core.errors import AuthError, PermanentError
from jobs.core.settings import Settings

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def read_secret(settings: Settings, name: str) -> str:
    """The secret's text, line breaks at its end aside. Raises AuthError when there is none, PermanentError when it is
    readable by others."""
    if not NAME.fullmatch(name):
        raise PermanentError(f"{name!r} is no name of a secret; expected lower case letters, digits and _")
    path = (settings.secrets_dir or settings.home / "secrets") / name
    try:
        if path.stat().st_mode & 0o077:
            raise PermanentError(f"{path} is readable by others; run: chmod 600 {path}")
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        raise AuthError(f"secret {name} is missing; put it into {path}, mode 0600") from None
    except UnicodeDecodeError:
        raise AuthError(f"{path} is no UTF-8 text; expected the secret and nothing else") from None
    if not text or not text.isprintable():
        raise AuthError(f"{path} is empty or holds more than one line; expected the secret and nothing else")
    return text
