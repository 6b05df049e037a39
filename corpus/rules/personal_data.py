"""Rules on what leads to a person or a page: addresses, numbers, marks of anonymized corpora."""

import re
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import Rule, TextRule
from deeq_bert.corpus.rules.replacement import check_action, listed, replacer

_URL_CHARACTER = r"[A-Za-z0-9\-._~:/?#@!$&'*+,;=%]"
# A pair of brackets in a URL belongs to it, as in Wikipedia's titles, a lone one does not; and so
# does Hangul that a mark of URLs encloses.
_URL_REST = (
    rf"(?:{_URL_CHARACTER}|\({_URL_CHARACTER}{{1,100}}\)|(?<=[/=_])[가-힣]{{1,50}}(?=[/=_&%?#]))*"
    "(?<![.,;:!?'])"
)
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SCHEME = "(?:[hH][tT]{2}[pP][sS]?|[fF][tT][pP]|mms)://[A-Za-z0-9]"
_WWW = rf"(?<![A-Za-z0-9@./_-])[wW]{{3}}\.(?:{_LABEL}\.){{1,5}}[A-Za-z]{{2,}}"
_BARE = (
    rf"(?<![A-Za-z0-9@./_%+-])(?:{_LABEL}\.){{1,5}}"
    "(?:com|net|org|kr|jp|cn|us|uk|de|fr|eu|io|me|tv|info|biz|edu|gov|dev|app|shop)"
    "(?![A-Za-z0-9@-]|[.][A-Za-z0-9])"
)


def urls(bare_domain: bool = False, action: str = "drop", mask: str = "[링크]") -> TextRule:
    """Drops or masks URLs: those with a scheme and those that begin with "www.".

    A URL ends before Hangul, since particles are written right behind it, and before final
    punctuation and a bracket that opened outside.

    Args:
      bare_domain: Also what has neither, such as naver.com/news.
      action: "drop" or "mask".
      mask: The mask.
    """
    starts = [_SCHEME, _WWW, *([_BARE] if bare_domain else [])]
    replace = replacer(f"(?:{'|'.join(starts)}){_URL_REST}", action, mask)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "://" in text or "www." in text or (bare_domain and "." in text) or "WWW." in text:
            return replace(text)
        return text

    return rule


_ATOM = "[A-Za-z0-9_%+-]"
_EMAIL = (
    rf"(?<!{_ATOM})(?<!{_ATOM}\.){_ATOM}+(?:\.{_ATOM}+)*[@＠]"
    rf"(?:{_LABEL}\.){{1,5}}[A-Za-z]{{2,24}}(?![A-Za-z0-9])"
)


def emails(action: str = "mask", mask: str = "[이메일]") -> TextRule:
    """Masks or drops e-mail addresses.

    An address ends before Hangul, since particles are written right behind it.

    Args:
      action: "mask" or "drop".
      mask: The mask.
    """
    replace = replacer(_EMAIL, action, mask)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "@" not in text and "＠" not in uncommon:
            return text
        return replace(text)

    return rule


_NIKL_NAMES = {
    "name": "이름",
    "social-security-num": "주민등록번호",
    "card-num": "카드번호",
    "address": "주소",
    "tel-num": "전화번호",
    "account": "계좌번호",
    "num": "번호",
    "affiliation": "소속",
    "others": "기타",
    "other": "기타",
}
_NIKL_NAME = re.compile(rf"&({'|'.join(_NIKL_NAMES)})[0-9]{{0,4}}&")
_NIKL_BRACES = r"\{(?:emoji|(?:share|system) ?: ?[a-z]{2,12})\}"


def nikl_marks(action: str = "mask") -> TextRule:
    """Writes the marks of NIKL corpora for what was taken out in Korean: &name1& becomes [이름].

    {censored} becomes [가림]. {emoji}, {share:photo} and {system: gift} are no part of a sentence
    and are dropped.

    Args:
      action: "mask", or "drop" to drop the former too, which leaves particles without a noun.
    """
    check_action(action, "mask", "drop")
    drop_braces = replacer(_NIKL_BRACES, "drop", "")
    replace_censored = replacer(r"\{censored\}", action, "[가림]")
    drop_names = replacer(_NIKL_NAME.pattern.replace("(", "(?:"), "drop", "")

    def names(text: str) -> str:
        if action == "drop":
            return drop_names(text)
        return _NIKL_NAME.sub(lambda match: f"[{_NIKL_NAMES[match[1]]}]", text)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "&" in text:
            text = names(text)
        if "{" in text:
            text = replace_censored(drop_braces(text))
        return text

    return rule


_MONTH_AND_DAY = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_RESIDENT = rf"(?<![A-Za-z0-9\-/_=.&?%])[0-9]{{2}}{_MONTH_AND_DAY} ?- ?[1-8][0-9]{{6}}(?![0-9/_=-])"
_RESIDENT_END = re.compile("- ?[1-8][0-9]{6}(?![0-9])")


def resident_numbers(action: str = "mask", mask: str = "[주민등록번호]") -> TextRule:
    """Masks or drops resident registration numbers, 900101-1234567.

    The hyphen must be there, month and day must exist and the digit behind the hyphen be 1 to 8;
    dates in URLs and longer numbers stay.

    Args:
      action: "mask" or "drop".
      mask: The mask.
    """
    replace = replacer(_RESIDENT, action, mask)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "-" not in text or not _RESIDENT_END.search(text):
            return text
        return replace(text)

    return rule


_CARD = re.compile(
    "(?<![0-9A-Za-z])(?<![0-9][- ])[3-69][0-9]{3}(?:(?:-[0-9]{4}){3}|(?: [0-9]{4}){3})"
    "(?![0-9A-Za-z]|[- ][0-9])"
)
_MAYBE_CARD = re.compile("[- ][0-9]{4}[- ][0-9]{4}[- ][0-9]{4}")


def card_numbers(mask: str = "[카드번호]") -> TextRule:
    """Masks numbers of payment cards, four groups of four digits whose check digit is right.

    Without the check digit (Luhn's), rows of years and codes would be masked.

    Args:
      mask: The mask.
    """

    def masked(match: re.Match) -> str:
        digits = [int(character) for character in match[0] if character.isdigit()]
        # Every other digit from the first is doubled; the digits of a double are added.
        doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[::2])
        return match[0] if (doubled + sum(digits[1::2])) % 10 else mask

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if not _MAYBE_CARD.search(text):
            return text
        return _CARD.sub(masked, text)

    return rule


_HYPHEN = "[-\u2010-\u2015\u2212－]"
_POINT = "[-.\u2010-\u2015\u2212－]"
_AREA = "(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|50[0-9]|[678]0)"
# Stands behind the first character, since a pattern that begins with a literal is searched faster.
_NOT_WITHIN = f"(?<![0-9].)(?<![0-9]{_POINT}.)"
_END = f"(?![0-9]|{_POINT}[0-9])"
_LAST = f"[0-9]{{4}}(?: ?[~∼～] ?[0-9]{{1,4}})?{_END}"
_GAP = f"(?: ?{_POINT} ?| )"
_MOBILE_REST = f"[0-9]{{3,4}}{_GAP}{_LAST}"
_LAND_LINE_REST = f"[0-9]{{3,4}} ?{_POINT} ?{_LAST}"
# A blank behind the area code of a land line is enough only where a hyphen follows later.
_NUMBER = "|".join(
    (
        rf"0{_NOT_WITHIN}1[016-9](?:{_GAP}|\) ?){_MOBILE_REST}",
        rf"\({_NOT_WITHIN}01[016-9]\) ?{_MOBILE_REST}",
        rf"0{_NOT_WITHIN}{_AREA}(?: ?{_POINT} ?|\) ?{_POINT}? ?| (?=[0-9]{{3,4}} ?{_HYPHEN}))"
        f"{_LAND_LINE_REST}",
        rf"\({_NOT_WITHIN}0{_AREA}\) ?{_POINT}? ?{_LAND_LINE_REST}",
    )
)
_FROM_ABROAD = rf"\+82{_GAP}?(?:\(0\) ?)?0?(?:10|{_AREA}){_GAP}[0-9]{{3,4}}{_GAP}{_LAST}"
_SERVICES = (
    *("522", "533", "544", "551", "555", "566", "577", "588", "599", "600", "644", "660", "661"),
    *("666", "668", "670", "688", "800", "811", "833", "855", "877", "899"),
)
# 1592-1598 and its like are years, but for the numbers that repeat themselves, 1577-1577.
_SERVICE_RESTS = "|".join(
    f"{service} ?{_HYPHEN} ?(?:1{service}|(?!1[5-9]|20)[0-9]{{4}})" for service in _SERVICES
)
_SERVICE = f"1{_NOT_WITHIN}(?:{_SERVICE_RESTS}){_END}"
_WITH_SIGN = f"(?:(?<=[☎☏])|(?<=[☎☏] )){_LAND_LINE_REST}"
_MAYBE_NUMBER = re.compile(f"0(?:1[016-9]|{_AREA})(?:[-. )]|{_POINT}){{1,3}}[0-9]{{3,4}}")
_MAYBE_SERVICE = re.compile(f"1[568][0-9]{{2}} ?{_HYPHEN} ?[0-9]{{4}}")


def phone_numbers(action: str = "mask", mask: str = "[전화번호]") -> TextRule:
    """Masks or drops phone numbers: mobile, land line, service (1588-1234), and with +82.

    Digits without separators are ids and stay, and so do dates, amounts and spans of years.

    Args:
      action: "mask" or "drop".
      mask: The mask.
    """
    replace = replacer(_NUMBER, action, mask)
    replace_from_abroad = replacer(_FROM_ABROAD, action, mask)
    replace_services = replacer(_SERVICE, action, mask)
    replace_with_sign = replacer(_WITH_SIGN, action, mask)
    signs = frozenset("☎☏")

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "+82" in text:
            text = replace_from_abroad(text)
        if _MAYBE_NUMBER.search(text):
            text = replace(text)
        if _MAYBE_SERVICE.search(text):
            text = replace_services(text)
        if not uncommon.isdisjoint(signs):
            text = replace_with_sign(text)
        return text

    return rule


# 국민, 우리, 하나 and 기업 are words of their own and count only with 은행 behind them.
_BANK = "(?:은행|뱅크|농협|수협|신협|축협|새마을금고|우체국|신한|계좌|입금|예금주|송금)"
_ACCOUNT = (
    "(?<![0-9])(?<![0-9]-)"
    "(?!(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])|0[0-9]{1,2}-[0-9]{3,4}-[0-9]{4}(?![0-9-]))"
    "[0-9]{2,6}-[0-9]{2,6}-[0-9]{2,8}(?:-[0-9]{1,6})?(?![0-9]|-[0-9])"
)
_ACCOUNT_OF_BANK = re.compile(
    rf"({_BANK}[^0-9\n]{{0,15}})({_ACCOUNT})|({_ACCOUNT})(?=[^0-9\n]{{0,6}}{_BANK})"
)


def account_numbers(mask: str = "[계좌번호]") -> TextRule:
    """Masks bank account numbers: 10 to 16 digits with hyphens beside a word such as 은행 or 입금.

    Dates and phone numbers beside such a word stay.

    Args:
      mask: The mask.
    """

    def masked(match: re.Match) -> str:
        number = match[2] or match[3]
        if not 10 <= len(number) - number.count("-") <= 16:
            return match[0]
        return (match[1] or "") + mask

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "-" not in text:
            return text
        return _ACCOUNT_OF_BANK.sub(masked, text)

    return rule


_MENTION = r"(?<![A-Za-z0-9_.%+/*@-])@[A-Za-z0-9_][A-Za-z0-9_.]{0,28}[A-Za-z0-9_](?![A-Za-z0-9_@])"


def mentions(action: str = "drop", mask: str = "[사용자]") -> TextRule:
    """Drops or masks mentions of users of social networks, such as @user_name.

    Those in e-mail addresses and URLs, and faces such as @.@, stay.

    Args:
      action: "drop" or "mask".
      mask: The mask.
    """
    replace = replacer(_MENTION, action, mask)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "@" not in text:
            return text
        return replace(text)

    return rule


RULES: tuple[Rule, ...] = (
    listed(urls),
    listed(emails),
    listed(nikl_marks),
    listed(resident_numbers),
    listed(card_numbers),
    listed(phone_numbers),
    listed(account_numbers, on=False),
    listed(mentions, on=False),
)
