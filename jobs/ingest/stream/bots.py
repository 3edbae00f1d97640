"""Known bots by their user agent, from the maintained list of the package `crawler-user-agents` (MIT).

Nearly all messages come from ordinary browsers, whose user agents follow one plan and hold no other words: one anchored
look clears them, and only the rest are compared with the 1,500 names of the list.
"""

from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

PLATFORM = (
    r"(?:Windows NT [\d.]+(?:; Win64; x64|; WOW64)?|Macintosh; Intel Mac OS X [\d_.]+|X11; (?:Ubuntu; )?Linux [\w]+"
    r"|X11; CrOS \w+ [\d.]+|(?:iPhone|iPad|iPod touch); CPU (?:iPhone )?OS [\d_]+ like Mac OS X"
    r"|(?:Linux; )?Android [\d.]+(?:; (?:Mobile|Tablet|[A-Za-z0-9 _()/-]{1,40}))?)"
)
PRODUCT = (
    r"(?:AppleWebKit|Gecko|Chrome|Version|Mobile|Safari|Firefox|Edge?|EdgA|EdgiOS|OPR|Opera|SamsungBrowser|CriOS|FxiOS"
    r"|Vivaldi|YaBrowser|DuckDuckGo|Ddg)/[\w.]+"
)
MAX_LENGTH = 512
ORDINARY = rf"^Mozilla/5\.0 \({PLATFORM}(?:; rv:[\d.]+)?\)(?: {PRODUCT}| \(KHTML, like Gecko\)| Mobile)+$"


@cache
def listed() -> str:
    """One regular expression of all names on the list; without look-around or back-references, so RE2 takes it too."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    return "|".join(f"(?:{entry['pattern']})" for entry in CRAWLER_USER_AGENTS_DATA)


def is_known_bot(context_agent: Column, receipt_agent: Column, key_kind: Column) -> Column:
    """True for a message whose user agent is on the list. The one in the message's context counts; that of the request only
    where a browser made it: a server that passes on what its visitors do is a library by its own name, and no bot."""
    by_browser = F.when(key_kind == "browser", receipt_agent)
    # Java's matcher recurses: a text without end would end the stream.
    agent = F.substring(F.coalesce(context_agent, by_browser), 1, MAX_LENGTH)
    return F.coalesce(F.when(~agent.rlike(ORDINARY), agent.rlike(listed())), F.lit(False))
