"""The rule on emoji, and what an emoji is."""

from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import TextRule
from deeq_bert.corpus.rules.replacement import check_action, replacer, unchanged

# For character classes. Those that are shown as pictures by themselves, and ❣ ❤ ☝ ☹ ☺ ✌, which
# people take for such; without ⚫ ⚪ ◾ ◽ ⬛ ⬜, which serve as bullets and middle dots.
PICTURES = (
    "\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u2614\u2615\u261d\u2639\u263a\u2648-\u2653"
    "\u267f\u2693\u26a1\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5"
    "\u26fa\u26fd\u2705\u270a-\u270c\u2728\u274c\u274e\u2763\u2764\u2795-\u2797"
    "\u27b0\u27bf\u2b50\u2b55\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a"
    "\U0001f201\U0001f21a\U0001f22f\U0001f232-\U0001f236\U0001f238-\U0001f23a\U0001f250\U0001f251"
    "\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7eb\U0001f7f0"
    "\U0001f90c-\U0001f9ff\U0001fa70-\U0001faff"
)
# Symbols, ♥ ☎ ™ ▶ and others, that are pictures only with U+FE0F behind them. ❓ ❗ ‼ ⁉ are in
# neither class: they end sentences.
SYMBOLS = (
    "\xa9\xae\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u2752\u2756\u2758-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f170-\U0001f171\U0001f17e\U0001f17f\U0001f202"
    "\U0001f237"
)
FLAG_LETTERS = "\U0001f1e6-\U0001f1ff"
TAGS = "\U000e0020-\U000e007f"
AS_PICTURE = "\ufe0f"
JOINER = "\u200d"

_ONE = f"(?:[{PICTURES}]{AS_PICTURE}?|[{SYMBOLS}]{AS_PICTURE})[\U0001f3fb-\U0001f3ff]?[{TAGS}]*"
_SEQUENCE = (
    f"(?:{_ONE}(?:{JOINER}(?:{_ONE}|[{SYMBOLS}]))*"
    f"|[{FLAG_LETTERS}]{{1,2}}|[0-9#*]{AS_PICTURE}?\u20e3)"
)


def expand(ranges: str) -> frozenset[str]:
    """Returns the characters that a regular expression's class of such content matches."""
    characters: set[str] = set()
    first, *rest = ranges.split("-")
    characters.update(first)
    # What stands before a hyphen begins a range, what stands behind it ends the range.
    start = first[-1]
    for part in rest:
        characters.update(map(chr, range(ord(start), ord(part[0]) + 1)), part)
        start = part[-1]
    return frozenset(characters)


_SIGNS = expand(PICTURES + FLAG_LETTERS) | {AS_PICTURE, "\u20e3"}


def emoji(action: str = "keep", mask: str = "[이모지]") -> TextRule:
    """Keeps, drops or masks emoji.

    Skin tones, flags, key caps and joined pictures go as a whole. ▶ ■ ★ ♥ ☎ ™ © ① and digits are
    not touched where U+FE0F does not say that they are pictures. Words that only an emoji kept
    apart get a blank between them.

    Args:
      action: "keep", "drop" or "mask"; a row of emoji gets one mask.
      mask: The mask.
    """
    check_action(action, "keep", "drop", "mask")
    if action == "keep":
        return unchanged
    replace = replacer(f"{_SEQUENCE}(?: ?{_SEQUENCE})*", action, mask, apart=True)

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if uncommon.isdisjoint(_SIGNS):
            return text
        return replace(text)

    return rule
