"""Rules on what a page puts around its text: notices of the press, buttons, list marks."""

import re
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import Rule, TextRule
from deeq_bert.corpus.rules.press import by_lines, copyright_lines, photo_credits, wire_heads
from deeq_bert.corpus.rules.replacement import listed

# Words that seldom are part of a sentence, wherever they stand.
_BUTTONS = (
    "로그인|로그아웃|회원가입|공유하기|스크랩하기|인쇄하기|신고하기|구독하기|글자확대|글자축소|글자크기"
    "|댓글쓰기|댓글달기|답글쓰기|목록보기|목록으로|이전글|다음글|본문듣기|기사듣기|기사공유|기사원문"
    "|원문보기|더보기|미리보기|바로가기|홈으로|맨위로가기|맨위로|기사스크랩"
)
# Words that are a button where a line holds nothing else, and ordinary words where it does.
_LABELS = (
    "목록|인쇄|공유|스크랩|댓글|답글|닫기|접기|펼치기|홈|Home|HOME|TOP|Top|메뉴|다운로드|DOWNLOAD"
    "|첨부파일|관련기사|관련뉴스|인기기사|최신기사|추천기사|주요기사|주요뉴스|글쓰기|수정|삭제|확대"
    "|축소|이전|다음|기사|본문|페이지|모달창|카카오톡|카카오스토리|페이스북|트위터|네이버밴드|네이버"
    "|밴드|URL복사|URL|주소|복사|프린트|이메일|검색|이전 글|다음 글|관련 기사|인기 기사|추천 기사"
    "|최신 기사|주요 뉴스|많이 본 뉴스|많이 본 기사|맨 위로|글자 크기|글자 확대|글자 축소|댓글 쓰기"
    "|댓글 달기|기사 원문|목록 보기|원문 보기|가기"
)
# A single one of these may be an ordinary line of a dialogue or a review.
_NOT_ALONE = re.compile(
    "(?:다음|이전|기사|본문|페이지|수정|삭제|확대|축소|네이버|밴드|주소|복사|검색|가기|이메일|URL|댓글"
    "|답글|공유|인쇄|트위터|페이스북|카카오톡)$"
)
_MARKS = r"[ |/·ㆍ>＞<＜\[\](){}▶▷►◀◁☞■□◆◇●※:+,-]"
_COUNTED = (
    "(?:댓글|답글|공감|비공감|좋아요|싫어요|추천|비추천|조회|조회수|공유|스크랩) ?:? ?"
    r"[(\[]?[0-9][0-9,]{0,9}[)\]]?"
)
_DATE = r"(?:19|20)[0-9]{2}[-./년] ?[0-9]{1,2}[-./월] ?[0-9]{1,2}[.일]?"
_TIME = (
    r"(?:\([월화수목금토일]\) ?)?(?:오전|오후)? ?[0-9]{1,2}[:시] ?[0-9]{2}"
    "(?:[:분] ?[0-9]{0,2})?초?"
)
_STAMP = (
    "(?:기사 ?)?(?:입력|수정|등록|승인|송고|작성|최종수정|최종 업데이트)(?:일시?|시간)? ?:? ?"
    rf"{_DATE}(?: ?{_TIME})?"
)
_MAX_SITE_LINE = 80


def site_words(inside: bool = False) -> TextRule:
    """Drops lines that hold nothing but words of a web site: 로그인, 댓글 0, 이전글 | 다음글.

    Times such as "입력 2024.01.02 10:30 | 수정 …" are among them.

    Args:
      inside: Within lines, also drop those that seldom are part of a sentence (로그인, 공유하기,
        이전글) and stand between blanks. That hits prose on web sites.
    """
    words = sorted(f"{_BUTTONS}|{_LABELS}".split("|"), key=len, reverse=True)
    alternatives = f"{_COUNTED}|{_STAMP}|{'|'.join(words)}"
    whole = re.compile(f"(?:(?:{alternatives})(?:{_MARKS}{{1,9}}|$))+")
    starts = {word[:2] for word in words} | {"공감", "비공", "좋아", "싫어", "추천", "비추", "조회"}
    starts |= {"입력", "등록", "승인", "송고", "작성", "최종"}
    button = re.compile(rf"(?:^|(?<= ))(?:{_BUTTONS})(?: |$)", re.MULTILINE)
    marks = _MARKS[1:-1].replace("\\", "")

    def is_site_line(line: str) -> bool:
        line = line.strip(marks)
        return (
            line[:2] in starts and whole.fullmatch(line) is not None and not _NOT_ALONE.match(line)
        )

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "\n" in text:
            lines = text.split("\n")
            dropped = [
                i
                for i, line in enumerate(lines)
                if len(line) <= _MAX_SITE_LINE and is_site_line(line)
            ]
            if dropped:
                for i in dropped:
                    lines[i] = ""
                text = "\n".join(lines)
        elif len(text) <= _MAX_SITE_LINE and is_site_line(text):
            return ""
        return button.sub("", text) if inside else text

    return rule


# Blank squares and circles are read as list marks, but for rows of them: ○○ stands for a name.
_BULLETS = "▶▷►▸‣☞■□▪▫◆◇◈❖●○◎◦•∙‧⦁※✓✔☑"
_DELTAS = "△▲▽▼"
_ANY_BULLET = frozenset(_BULLETS + _DELTAS + "·ㆍ–—―")
# Behind a line feed: what begins with a literal is found fast.
_BULLET = re.compile(
    rf"\n(?:[▶▷►▸☞]+ ?|([{_BULLETS}])(?!\1) ?|[{_DELTAS}](?! ?[0-9{_DELTAS}]) ?|[·ㆍ](?![·ㆍ]) ?)+"
)
_BULLET_PAIR = re.compile(rf"\n([{_BULLETS}])(?!\1) ?([^\n]*[^\n {_BULLETS}]) ?\1(?=\n|$)")
_DASHES = "–—―-"
_DASH_PAIR = re.compile(
    rf"\n[{_DASHES}] ?(?=[^\W_ㄱ-ㅣ]|[\"'“‘<《〈(\[])([^\n]*[^\n {_DASHES}]) ?[{_DASHES}](?=\n|$)"
)
# Without a blank behind it a dash may belong to a pair, or be part of a face.
_DASH = re.compile(
    rf"\n(?:[{_DASHES}] |\*(?! \*) |[{_DASHES}](?=[가-힣])(?![^\n {_DASHES}]{{0,20}}-))"
)


def list_marks() -> TextRule:
    """Strips list marks at the start of a line: ▶ ■ △ ◆ ● ○ ※ · and, with a blank behind, - *

    A line between a pair of them, - 부제 -, loses both. Marks within a line, △ before a number,
    where it means minus, rows such as ○○ for a name, and numbers such as 1. stay.
    """

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        bullets = not uncommon.isdisjoint(_ANY_BULLET)
        if not bullets and text[:1] not in ("-", "*") and "\n-" not in text and "\n*" not in text:
            return text
        lines = "\n" + text
        if bullets:
            lines = _BULLET.sub("\n", _BULLET_PAIR.sub(r"\n\2", lines))
        lines = _DASH.sub("\n", _DASH_PAIR.sub(r"\n\1", lines))
        return text if len(lines) == len(text) + 1 else lines[1:]

    return rule


RULES: tuple[Rule, ...] = (
    listed(copyright_lines),
    listed(photo_credits),
    listed(wire_heads),
    listed(by_lines),
    listed(site_words),
    listed(list_marks),
)
