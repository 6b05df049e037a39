"""Rules on what is repeated within a word: letters, syllables, punctuation marks."""

import re
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import Rule, TextRule
from deeq_bert.corpus.rules.emoji import expand
from deeq_bert.corpus.rules.replacement import check_at_least, listed

# Without ㅁ and ㅇ: ㅇㅇㅇ 의원 and ㅁㅁㅁ씨 stand for names, and are no laughter.
_JAMO = "ㄱ-ㅀㅂ-ㅆㅈ-ㅣ"
_ANY_JAMO = expand(_JAMO)


def jamo_runs(keep: int = 2) -> TextRule:
    """Folds runs of the same letter, ㅋㅋㅋㅋ to ㅋㅋ, and of the same two, ㅋㅎㅋㅎㅋㅎ to ㅋㅎ.

    ㅇㅇㅇ and ㅁㅁㅁ, which stand for names, stay. Only letters are touched, never the syllable
    before them: 하세요ㅋㅋㅋㅋ becomes 하세요ㅋㅋ.

    Args:
      keep: How many of the same letter are left; a pair is folded where it comes three times.
    """
    check_at_least("keep", keep, 1)
    same = re.compile(f"([{_JAMO}])\\1{{{keep},}}")
    pairs = re.compile(f"([{_JAMO}]{{2}})\\1{{2,}}")

    def folded(match: re.Match) -> str:
        return match[1] * keep

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if uncommon.isdisjoint(_ANY_JAMO):
            return text
        return pairs.sub(r"\1", same.sub(folded, text))

    return rule


_FOUR_SYLLABLES = 4


def syllable_runs(keep: int = 3) -> TextRule:
    """Folds a syllable that comes four times or more in a row: 와아아아아아 to 와아아아.

    Three are left alone, since words may have them: 공공공시설, 레이디 가가가. Digits and Latin
    letters are never folded: 10000원 and www stay.

    Args:
      keep: How many are left, at most 3.
    """
    check_at_least("keep", keep, 1)
    keep = min(keep, _FOUR_SYLLABLES - 1)
    # Written out, since this is the one rule that must look at every syllable, and it is faster.
    run = re.compile(r"([가-힣])\1\1\1+")

    def folded(match: re.Match) -> str:
        return match[1] * keep

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        return run.sub(folded, text)

    return rule


# Rows of ★ are ratings, those of * and _ stand for names and gaps, those of / + # are part of URLs
# and names.
_MARKS = r"!?~;^,=<>\-"
_UNCOMMON_MARKS = "∼～！？；，。、…‥♥♡─━═"
_ANY_UNCOMMON_MARK = frozenset(_UNCOMMON_MARKS)


def punctuation_runs(keep: int = 2) -> TextRule:
    """Folds runs of the same mark, !!!!! to !!, and of ! and ? in turn, ?!?!?! to ?!.

    Four dots or more become three, so an ellipsis stays one. Brackets, quotation marks and ratings
    such as ★★★★★ are not touched.

    Args:
      keep: How many of the same mark are left; of dots always three.
    """
    check_at_least("keep", keep, 1)
    same = re.compile(f"([{_MARKS}])\\1{{{keep},}}")
    same_uncommon = re.compile(f"([{_UNCOMMON_MARKS}])\\1{{{keep},}}")
    dots = re.compile(r"([.·ㆍ⋯])\1{3,}")
    turns = re.compile(r"(!\?|\?!|！？|？！)\1+")

    def folded(match: re.Match) -> str:
        return match[1] * keep

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        text = same.sub(folded, text)
        has_uncommon = not uncommon.isdisjoint(_ANY_UNCOMMON_MARK)
        if has_uncommon:
            text = same_uncommon.sub(folded, text)
        if "...." in text or "····" in text or "ㆍㆍㆍㆍ" in text or "⋯⋯⋯⋯" in text:
            text = dots.sub(r"\1\1\1", text)
        if has_uncommon or "?!?" in text or "!?!" in text:
            text = turns.sub(r"\1", text)
        return text

    return rule


RULES: tuple[Rule, ...] = (
    listed(jamo_runs),
    listed(syllable_runs),
    listed(punctuation_runs),
)
