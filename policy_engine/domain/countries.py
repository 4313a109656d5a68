"""The countries that a fact may name, and their parts: ISO 3166-1 alpha-2, ISO 3166-2, and XK (Kosovo).

XK is user-assigned and the only such code that stands for a country here. A code outside of the lists is no country and
no part, however it is shaped: withdrawn codes (`SU`), reserved ones (`UK`, `EU`), user-assigned ones (`XX`, `ZZ`) and
numbers that other registers hand out (`UA-11` is a FIPS number of address tables). In a file it is a fault; in a
request (an address that a gateway could not place) it is an unknown place, never a place in no group.

The codes are an edition of a standard and no policy. Which country is in which group is the book's to say.
"""

from __future__ import annotations

import difflib
from typing import Final

from policy_engine.domain.subdivisions import parts_of

__all__ = ["COUNTRIES", "is_country", "is_subdivision", "parts_of", "suggest"]

COUNTRIES: Final = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """.split()
)

_OTHER_SPELLINGS: Final = dict(
    pair.split("=")
    for pair in """
    UK=GB EL=GR SU=RU BU=MM TP=TL ZR=CD RKS=XK XKX=XK
    USA=US GBR=GB CHN=CN PRC=CN TWN=TW ROC=TW HKG=HK KOR=KR ROK=KR PRK=KP DPRK=KP JPN=JP RUS=RU IRN=IR IRQ=IQ SYR=SY
    CUB=CU DEU=DE GER=DE FRA=FR ITA=IT ESP=ES NLD=NL CHE=CH SUI=CH SWE=SE NOR=NO DNK=DK POL=PL IND=IN SGP=SG AUS=AU
    CAN=CA MEX=MX BRA=BR ISR=IL ARE=AE UAE=AE SAU=SA KSA=SA TUR=TR UKR=UA BLR=BY VEN=VE
    """.split()
)


def is_country(text: str) -> bool:
    """Whether the text is a country's code, byte for byte."""
    return text in COUNTRIES


def suggest(text: str) -> str | None:
    """The country that was most likely meant, or `None` when there is none or more than one as near.

    Of a code that begins like a part of a country (`US-DE`) that is the country it begins with.
    """
    word = text.strip().upper().partition("-")[0]
    meant = _OTHER_SPELLINGS.get(word, word)
    if meant in COUNTRIES:
        return meant
    if not 1 < len(word) <= 3:
        return None
    near = difflib.get_close_matches(word, sorted(COUNTRIES), n=2, cutoff=0.6)
    return near[0] if len(near) == 1 else None


def is_subdivision(text: str) -> bool:
    """Whether the text is the ISO 3166-2 code of a part of a country, such as `UA-43`, byte for byte."""
    return text in parts_of(text.partition("-")[0])
