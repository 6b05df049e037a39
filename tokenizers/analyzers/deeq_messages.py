"""The messages of deeq and bareun servers: requests made of lines, analyses read from answers.

The definitions are built at run time in a descriptor pool of their own. The default pool of a
process holds one definition of each name, so it would clash with a client of the vendor's.
"""

import bisect
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from deeq_bert.tokenizers.analyzers.base import Analysis

DIALECTS = ("deeq", "bareun")

# The name of each number.
# fmt: off
TAGS = (
    "UNK", "EC", "EF", "EP", "ETM", "ETN", "IC", "JC", "JKB", "JKC", "JKG", "JKO", "JKQ", "JKS",
    "JKV", "JX", "MAG", "MAJ", "MMA", "MMD", "MMN", "NA", "NF", "NNB", "NNG", "NNP", "NP", "NR",
    "NV", "SE", "SF", "SH", "SL", "SN", "SO", "SP", "SS", "SW", "VA", "VCN", "VCP", "VV", "VX",
    "XPN", "XR", "XSA", "XSN", "XSV",
)
# fmt: on
_UNKNOWN_TAG = TAGS[0]

_LANGUAGE = "ko_KR"
# Offsets in code points, which are those of Python.
_UTF32 = 3

_PACKAGES = {"deeq": "baikal.language", "bareun": "bareun"}
_ENUMS = {"EncodingType": ("NONE", "UTF8", "UTF16", "UTF32"), "Tag": TAGS}
# Of each message the fields that are used here: name, number and type, "*" where repeated. What
# else a server sends is skipped.
_MESSAGES = {
    "TextSpan": (("content", 1, "string"), ("begin_offset", 2, "int32")),
    "Morpheme": (("text", 1, "TextSpan"), ("tag", 2, "Tag")),
    "Token": (("text", 1, "TextSpan"), ("morphemes", 2, "*Morpheme"), ("tagged", 5, "string")),
    "Sentence": (("text", 1, "TextSpan"), ("tokens", 2, "*Token")),
    "Document": (("content", 2, "string"), ("language", 4, "string")),
    "AnalyzeSyntaxRequest": (
        ("document", 1, "Document"),
        ("encoding_type", 2, "EncodingType"),
        ("auto_split_sentence", 3, "bool"),
        ("custom_domain", 4, "string"),
    ),
    "AnalyzeSyntaxResponse": (("sentences", 1, "*Sentence"), ("language", 3, "string")),
    "AnalyzeSyntaxListRequest": (
        ("sentences", 1, "*string"),
        ("language", 2, "string"),
        ("encoding_type", 3, "EncodingType"),
        ("auto_spacing", 5, "bool"),
        ("auto_jointing", 6, "bool"),
        ("custom_dict_names", 11, "*string"),
    ),
    "AnalyzeSyntaxListResponse": (("sentences", 1, "*Sentence"), ("language", 3, "string")),
}


class UnusableAnswer(ValueError):
    """An answer that is no analysis of the lines sent; the message says why."""


class Messages:
    """The messages of one dialect.

    Attributes:
      method: The path of the remote procedure.
      request_class: The message that it takes.
      response_class: The message that it answers with.
    """

    def __init__(self, dialect: str):
        """Builds the definitions; `messages_of` does it once for each dialect."""
        self._dialect = dialect
        package = _PACKAGES[dialect]
        procedure = "AnalyzeSyntax" if dialect == "deeq" else "AnalyzeSyntaxList"
        self.method = f"/{package}.LanguageService/{procedure}"
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(_file_definition(package).SerializeToString())
        self.request_class = _message_class(pool, f"{package}.{procedure}Request")
        self.response_class = _message_class(pool, f"{package}.{procedure}Response")

    def request(self, lines: Sequence[str], domain: str | None = None) -> bytes:
        """Returns the request to analyse `lines`, none of them empty.

        Args:
          lines: None holds a newline.
          domain: The name of the custom dictionary to use.
        """
        request = self.request_class()
        request.encoding_type = _UTF32
        if self._dialect == "deeq":
            request.document.content = "\n".join(lines)
            request.document.language = _LANGUAGE
            if domain:
                request.custom_domain = domain
        else:
            # The defaults of auto_spacing and auto_jointing, false, keep the text as it is.
            request.sentences.extend(lines)
            request.language = _LANGUAGE
            if domain:
                request.custom_dict_names.append(domain)
        return request.SerializeToString()

    def analyses(self, lines: Sequence[str], answer: bytes) -> list[Analysis]:
        """Returns what the server's `answer` says of each of the `lines` it was asked about.

        Raises:
          UnusableAnswer: The answer is damaged, or is not about these lines, one for one.
        """
        response = self.response_class()
        try:
            response.ParseFromString(answer)
        except (DecodeError, UnicodeDecodeError):  # the latter from protobuf before 4
            raise UnusableAnswer(f"{len(answer):,} bytes that are no such message") from None
        sentences = response.sentences
        if len(sentences) != len(lines):
            raise UnusableAnswer(f"{len(sentences):,} sentences for {len(lines):,} lines")
        return [_read_sentence(line, sentence) for line, sentence in zip(lines, sentences)]


@functools.cache
def messages_of(dialect: str) -> Messages:
    """Returns the messages of `dialect`, one of DIALECTS."""
    return Messages(dialect)


def _file_definition(package: str) -> descriptor_pb2.FileDescriptorProto:
    field_type = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": field_type.TYPE_STRING,
        "int32": field_type.TYPE_INT32,
        "bool": field_type.TYPE_BOOL,
    }
    # Of syntax proto3, enums may have numbers that are not listed: later servers know more tags.
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number)
            is_repeated = kind.startswith("*")
            field.label = field_type.LABEL_REPEATED if is_repeated else field_type.LABEL_OPTIONAL
            kind = kind.lstrip("*")
            if kind in scalars:
                field.type = scalars[kind]
            else:
                field.type = field_type.TYPE_ENUM if kind in _ENUMS else field_type.TYPE_MESSAGE
                field.type_name = f".{package}.{kind}"
    return file


def _message_class(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    # Protobuf before 4.22.
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def _read_sentence(line: str, sentence: Any) -> Analysis:
    tokens = sentence.tokens
    words = list(_word_spans(line))
    spans = _eojeol_spans(line, words, [token.text.content for token in tokens])
    # Offsets of eojeols that are not those found show that the server counts in another way.
    offsets = [token.text.begin_offset for token in tokens]
    counts_alike = all(
        offset - offsets[0] == start - spans[0][0] for offset, (start, _) in zip(offsets, spans)
    )
    forms: list[str] = []
    tags: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for token, offset, (start, end) in zip(tokens, offsets, spans):
        token_forms: list[str] = []
        places: list[int] = []
        for morpheme in token.morphemes:
            text = morpheme.text
            form = _without_whitespace(text.content)
            if not form:
                continue
            token_forms.append(form)
            places.append(text.begin_offset - offset)
            number = morpheme.tag
            tags.append(TAGS[number] if 0 <= number < len(TAGS) else _UNKNOWN_TAG)
        if not token_forms:
            # Nothing of the text may get lost.
            token_forms, places = [_without_whitespace(line[start:end])], [0]
            tags.append(_UNKNOWN_TAG)
        elif not (counts_alike and _are_ascending(places, end - start)):
            places = _places(token_forms, line[start:end])
        token_starts = _starts_on_characters(line, start, places)
        forms += token_forms
        starts += token_starts
        ends += _ends(line, token_starts, end)
    return Analysis(forms, tags, starts, ends, _word_starts(words, starts))


def _without_whitespace(text: str) -> str:
    return "".join(text.split())


def _word_spans(line: str) -> Iterator[tuple[int, int]]:
    """Yields start and end of each stretch of text between whitespace."""
    end = 0
    for word in line.split():
        start = line.index(word, end)
        end = start + len(word)
        yield start, end


def _word_starts(words: list[tuple[int, int]], starts: list[int]) -> bytes:
    """Returns a byte for each morpheme: whether it is the first that begins in its word."""
    beginnings = [start for start, _ in words]
    numbers = [bisect.bisect_right(beginnings, start) for start in starts]
    return bytes(one != other for one, other in itertools.pairwise([0, *numbers]))


def _eojeol_spans(
    line: str, words: list[tuple[int, int]], eojeols: list[str]
) -> list[tuple[int, int]]:
    """Returns start and end of each eojeol in the line that they are together.

    Raises:
      UnusableAnswer: Apart from whitespace, they are not the line.
    """
    if eojeols == [line[start:end] for start, end in words]:
        return words
    eojeols = [_without_whitespace(eojeol) for eojeol in eojeols]
    answered, sent = "".join(eojeols), _without_whitespace(line)
    if answered != sent:
        answered, sent = _first_difference(answered, sent)
        raise UnusableAnswer(f'"{answered}" where a line has "{sent}"')
    if not all(eojeols):
        raise UnusableAnswer("an eojeol without text")
    # Where each character that is no whitespace stands.
    positions = [index for index, character in enumerate(line) if not character.isspace()]
    bounds = itertools.accumulate(map(len, eojeols), initial=0)
    return [
        (positions[first], positions[last - 1] + 1) for first, last in itertools.pairwise(bounds)
    ]


def _first_difference(answered: str, sent: str, length: int = 20) -> tuple[str, str]:
    """Returns what the two have from the first character that differs on."""
    pairs = enumerate(zip(answered, sent))
    start = next((index for index, (one, other) in pairs if one != other), None)
    if start is None:
        start = min(len(answered), len(sent))
    return answered[start : start + length], sent[start : start + length]


def _are_ascending(places: list[int], size: int) -> bool:
    """Whether each place is in the eojeol, and none before the one it follows."""
    if places[0] < 0 or places[-1] >= size:
        return False
    return all(place <= following for place, following in itertools.pairwise(places))


def _places(forms: list[str], surface: str) -> list[int]:
    """Returns where in an eojeol each morpheme begins, as far as its text tells.

    A form that stands in the text is there; those between two such share what is between them,
    and have the character before where there is nothing.
    """
    places: list[int] = []
    end = unplaced = 0
    for form in [*forms, None]:
        found = len(surface) if form is None else surface.find(form, end)
        if found >= 0:
            gap = found - end
            before = end if gap or end == 0 else end - 1
            places += [before + index * gap // unplaced for index in range(unplaced)]
            unplaced = 0
            if form is not None:
                places.append(found)
                end = found + len(form)
        else:
            unplaced += 1
    return places


def _starts_on_characters(line: str, start: int, places: list[int]) -> list[int]:
    """Returns the starts of morphemes in the line, none of them on whitespace.

    The first is that of the eojeol, whose last character is no whitespace.
    """
    starts = [start]
    for place in places[1:]:
        position = start + place
        while line[position].isspace():
            position += 1
        starts.append(position)
    return starts


def _ends(line: str, starts: list[int], end: int) -> Iterator[int]:
    """Yields the ends of the morphemes of an eojeol that begin at `starts` and share it out."""
    ends: list[int] = []
    following = end
    for start, after in itertools.pairwise([*reversed(starts), -1]):
        position = following
        while line[position - 1].isspace():
            position -= 1
        ends.append(position)
        if after < start:
            following = start
    return reversed(ends)
