"""Is a text a country code, and which one was meant by a text that is none.

The codes are `policy_engine.domain.countries.COUNTRIES`: an edition of a standard and no policy. Which country is in
which group is the book's to say.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from policy_engine.domain.countries import COUNTRIES

_OTHER_SPELLINGS: Final = dict(
    pair.split("=")
    for pair in """
    UK=GB EL=GR SU=RU BU=MM TP=TL ZR=CD RKS=XK XKX=XK
    USA=US GBR=GB CHN=CN PRC=CN TWN=TW ROC=TW HKG=HK KOR=KR ROK=KR PRK=KP DPRK=KP JPN=JP RUS=RU IRN=IR IRQ=IQ SYR=SY
    CUB=CU DEU=DE GER=DE FRA=FR ITA=IT ESP=ES NLD=NL CHE=CH SUI=CH SWE=SE NOR=NO DNK=DK POL=PL IND=IN SGP=SG AUS=AU
    CAN=CA MEX=MX BRA=BR ISR=IL ARE=AE UAE=AE SAU=SA KSA=SA TUR=TR UKR=UA BLR=BY VEN=VE
    """.split()
)
_SUBDIVISION: Final = re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}")


def is_country(text: str) -> bool:
    """Whether the text is a code, byte for byte."""
    return text in COUNTRIES


def suggest(text: str) -> str | None:
    """The code that was most likely meant, or `None` when there is none or more than one as near."""
    word = text.strip().upper()
    meant = _OTHER_SPELLINGS.get(word, word)
    if meant in COUNTRIES:
        return meant
    if not 1 < len(word) <= 3:
        return None
    near = difflib.get_close_matches(word, sorted(COUNTRIES), n=2, cutoff=0.6)
    return near[0] if len(near) == 1 else None


def is_subdivision(text: str) -> bool:
    """Whether the text has the shape of an ISO 3166-2 code of a country in the list, such as `UA-43`."""
    matched = _SUBDIVISION.fullmatch(text)
    return matched is not None and matched[1] in COUNTRIES
