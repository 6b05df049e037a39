"""The data sets of AI-Hub that are JSON: where their texts are."""

import dataclasses
from collections.abc import Iterable, Iterator

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_files import JsonReader
from deeq_bert.corpus.readers.json_outline import paths_at_start
from deeq_bert.corpus.readers.json_paths import Path, Step, Steps, name_steps
from deeq_bert.tokenizers.errors import InputError

# By the shortest beginning that suffices a small file is known soon.
_LENGTHS_LOOKED_AT = (1 << 14, 1 << 20)
_MAX_PATHS_TOLD = 12


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How the files of some data sets are laid out.

    Attributes:
      numbers: The numbers of the data sets (dataSetSn).
      document: The path to a document, as for JsonReader.
      text: The paths to its texts; a file that has one of them is taken to be laid out so.
      title: The path to its title.
      id: The path to its name.
      speaker: The path to who speaks.
    """

    numbers: tuple[str, ...]
    document: str
    text: str
    title: str = ""
    id: str = ""
    speaker: str = ""

    def reader(self) -> JsonReader:
        return JsonReader(
            document=self.document,
            text=self.text,
            title=self.title,
            id=self.id,
            speaker=self.speaker,
        )

    def fits(self, there: Iterable[Steps]) -> bool:
        """Whether one of the texts is among the paths that there are."""
        document = Path(self.document).steps
        wanted = [document + Path(text).steps for text in self.text.split(",")]
        return any(_match(steps, path) for steps in wanted for path in there)


_LAYOUTS = (
    # Large-scale Korean web text: source, then labels.
    _Layout(("624",), "SJML.text[]", "subtitle,content", title="title", id="id"),
    _Layout(
        ("624",),
        "named_entity[]",
        "subtitle[].sentence,content[].sentence",
        title="title[].sentence",
        id="id",
    ),
    # Large-scale text of bought books.
    _Layout(("653",), "", "paragraphs[].sentences[].text", title="metadata.title"),
    # Summaries of documents, legal knowledge.
    _Layout(("97", "99"), "documents[]", "text[][].sentence", title="title", id="id"),
    # Machine reading: news, books.
    _Layout(("89", "92"), "data[]", "paragraphs[].context", title="title"),
    # Summaries of papers; the misspelt key is that of the published files.
    _Layout(
        ("90",),
        "data[]",
        "summary_entire[].original_text,summary_entire[].orginal_text",
        title="title",
        id="doc_id",
    ),
    # Summaries of books.
    _Layout(("93",), "", "passage", title="metadata.doc_name"),
    # Text of special fields.
    _Layout(("110",), "data[]", "rows[].text", title="title"),
    # Dialogues on feelings.
    _Layout(("86",), "[]", "talk.content.*"),
    # Dialects, in their standard forms.
    _Layout(
        ("118", "119", "120", "121", "122"),
        "",
        "utterance[].standard_form",
        id="id",
        speaker="speaker_id",
    ),
    # Dialogues of broadcasts, meetings.
    _Layout(("463", "464"), "", "utterance[].original_form", id="id", speaker="speaker_id"),
    # Social network.
    _Layout(("71343",), "", "body[].utterance", speaker="participantID"),
    # Spoken commands.
    _Layout(("94", "95", "96"), "", "전사정보.LabelText"),
    # Judgements and articles of law.
    _Layout(
        ("19",),
        "",
        "mentionedItems.rqestObjet,disposal.disposalcontent,facts.bsisFacts,dcss.courtDcss,"
        "close.cnclsns,clauseArticle",
    ),
)
_NUMBERS = sorted({number for layout in _LAYOUTS for number in layout.numbers}, key=int)


class AiHubReader(Reader):
    """Reads JSON files of AI-Hub; which data set it is shows in the keys of the file."""

    def __init__(self, dataset: str = "auto"):
        """Makes a reader.

        Args:
          dataset: The number of the data set at AI-Hub (dataSetSn), or "auto".

        Raises:
          InputError: The number is not known.
        """
        self._dataset = str(dataset).lstrip("0") if str(dataset) != "auto" else "auto"
        if self._dataset not in ("auto", *_NUMBERS):
            raise InputError(
                f"The AI-Hub data set {dataset} is not known; expected auto or one of "
                f"{', '.join(_NUMBERS)}. Read others with the reader json and paths."
            )

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        return self._find_layout(file).reader().read(file)

    def _find_layout(self, file: InputFile) -> _Layout:
        layouts = [layout for layout in _LAYOUTS if self._dataset in ("auto", *layout.numbers)]
        if len(layouts) == 1:
            return layouts[0]
        there: dict[Steps, None] = {}
        for length in _LENGTHS_LOOKED_AT:
            there = paths_at_start(file, length)
            for layout in layouts:
                if layout.fits(there):
                    return layout
        told = ", ".join(name_steps(steps) for steps in list(there)[:_MAX_PATHS_TOLD])
        which = "no AI-Hub data set" if self._dataset == "auto" else "not the data set"
        raise InputError(
            f"{file.path}: {which} that is known by its keys; it has {told or 'none'}. "
            "Read it with the reader json and the paths of its documents and texts."
        )


def _match(wanted: Steps, steps: Steps) -> bool:
    return len(wanted) == len(steps) and all(
        step is Step.VALUES or step == other for step, other in zip(wanted, steps)
    )
