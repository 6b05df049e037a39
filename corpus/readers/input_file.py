"""An input file: decompressed, its encoding found, its text read in bounded memory."""

import bz2
import contextlib
import gzip
import io
import lzma
import types
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from deeq_bert.corpus.readers import text_encodings
from deeq_bert.tokenizers.errors import InputError

BLOCK_BYTES = 1 << 20
# What has longer lines is a file of another kind; a record that large is no text to learn from.
MAX_LINE_BYTES = 64 << 20
MAX_WHOLE_BYTES = 256 << 20
_SAMPLE_BYTES = 4 << 20
_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst"}
# Encodings in which the byte of "\n" can be part of another character, or text before decides.
_NO_BYTE_LINES = ("utf-16", "utf-32", "utf-7", "iso2022", "hz")
_DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


class OverlongLine(str):
    """Stands for a line of more than MAX_LINE_BYTES bytes: how it begins."""


class InputFile:
    """One input file, or a range of bytes of it.

    gz, bz2, xz and zst files are known by how they begin and decompressed on the way.

    Attributes:
      path: Where it is.
      begin: The first byte of the range, as the file is stored.
      end: The byte after the range; None for all of the file.
      past_end: Whether the line that `lines` yielded last begins at or after `end`.
      position: How many bytes of the file, as it is stored, have been read.
      num_replaced: How many characters stand for bytes that could not be decoded.
    """

    def __init__(
        self,
        path: str,
        *,
        encoding: str = "auto",
        errors: str = "strict",
        begin: int = 0,
        end: int | None = None,
    ):
        """Looks at how the file begins.

        Args:
          path: The file.
          encoding: The name of an encoding; with "auto" it is found (see `text_encodings.detect`).
          errors: What to do with bytes that cannot be decoded: "strict" to raise InputError,
            "replace" to put U+FFFD in their place and count.
          begin: Where a range of an uncompressed file begins.
          end: Where it ends.

        Raises:
          InputError: The file cannot be read, or the encoding is not known.
        """
        self.path = path
        self.begin = begin
        self.end = end
        self.past_end = False
        self.position = begin
        self.num_replaced = 0
        self._errors = errors
        self._compression = self._find_compression()
        self._encoding = None if encoding == "auto" else text_encodings.check(encoding)
        if self._encoding == "utf-16":
            # The byte order is found.
            self._encoding = None

    @property
    def is_compressed(self) -> bool:
        return self._compression is not None

    @property
    def encoding(self) -> str:
        """The encoding, such as "utf-8", "utf-16-le" or "cp949"; a byte order mark is skipped."""
        if self._encoding is None:
            with self._open() as stream, self._failures_named():
                self._encoding = text_encodings.detect(_read_up_to(stream, _SAMPLE_BYTES))
        return self._encoding

    def declare_encoding(self, name: str) -> None:
        """Takes the encoding that the file itself declares, unless the user named one.

        It is not heeded where it cannot be: what can be read to be declared at all is no UTF-16.
        """
        if self._encoding is None:
            with contextlib.suppress(InputError):
                encoding = text_encodings.check(name)
                if not encoding.startswith(("utf-16", "utf-32")):
                    self._encoding = encoding

    @property
    def has_byte_lines(self) -> bool:
        """Whether ranges of bytes make sense: not compressed, and "\\n" is always a line end."""
        return not self.is_compressed and not self.encoding.startswith(_NO_BYTE_LINES)

    def lines(self) -> Iterator[str]:
        """Yields the lines that begin at or after `begin`, without their ends ("\\n" or "\\r\\n").

        It goes on after `end`, for records of more than one line; see `past_end`. A line that is
        too long comes as an OverlongLine.

        Raises:
          InputError: A byte cannot be decoded, or the file is damaged.
        """
        self.past_end = False
        rest = ""
        overlong = False
        for block in self._decoded_blocks(cut_at_end=True):
            if block is None:
                if rest:
                    # The last line of the file, which has no end.
                    yield OverlongLine(rest) if overlong else rest.removesuffix("\r")
                    rest, overlong = "", False
                self.past_end = True
                continue
            lines = block.split("\n")
            if overlong and len(lines) > 1:
                yield OverlongLine(rest)
                del lines[0]
                rest, overlong = "", False
            if overlong:
                continue
            lines[0] = rest + lines[0]
            rest = lines.pop()
            for line in lines:
                yield line[:-1] if line.endswith("\r") else line
            if len(rest) > MAX_LINE_BYTES:
                rest, overlong = rest[:1000], True
        if overlong:
            yield OverlongLine(rest)
        elif rest:
            yield rest.removesuffix("\r")

    def text_blocks(self) -> Iterator[str]:
        """Yields the text from `begin` on, about a megabyte at a time."""
        return (block for block in self._decoded_blocks(cut_at_end=False) if block)

    def byte_blocks(self) -> Iterator[bytes]:
        """Yields the bytes from `begin` on, decompressed, a megabyte at a time.

        Raises:
          InputError: The file cannot be read or is damaged.
        """
        with self._open() as stream, self._failures_named():
            raw = getattr(stream, "raw_file", stream)
            if self.begin:
                stream.seek(self.begin)
            while block := stream.read(BLOCK_BYTES):
                self.position = raw.tell()
                yield block

    def whole_text(self) -> str:
        """Returns all of the text.

        Raises:
          InputError: It is over MAX_WHOLE_BYTES, or cannot be read.
        """
        blocks = []
        size = 0
        for block in self.text_blocks():
            blocks.append(block)
            size += len(block)
            if size > MAX_WHOLE_BYTES:
                raise InputError(
                    f"{self.path}: over {MAX_WHOLE_BYTES:,} characters, too many for a format that "
                    "is read whole. Split the file."
                )
        return "".join(blocks)

    def place(self, line_number: int) -> str:
        """Returns where a line is, counting from 1 at `begin`."""
        after = f" after byte {self.begin:,}" if self.begin else ""
        return f"{self.path}, line {line_number:,}{after}"

    def _decoded_blocks(self, cut_at_end: bool) -> Iterator[str | None]:
        """Yields text whose blocks end with whole lines where they can, and None for `end`."""
        decoder = text_encodings.Decoder(self.path, self.encoding, self._errors, self.begin)
        blocks = self._line_blocks(cut_at_end) if self.has_byte_lines else self.byte_blocks()
        for block in blocks:
            if block is None:
                yield None
                continue
            yield decoder.decode(block)
            self.num_replaced = decoder.num_replaced
        yield decoder.finish()
        self.num_replaced = decoder.num_replaced

    def _line_blocks(self, cut_at_end: bool) -> Iterator[bytes | None]:
        with self._open() as stream, self._failures_named():
            if self.begin:
                # The line that begins exactly at `begin` is ours: the byte before it ends another.
                stream.seek(self.begin - 1)
                _skip_line(stream)
            if self.end is not None and cut_at_end:
                if stream.tell() < self.end:
                    yield from self._blocks_to_end(stream, self.end)
                yield None
            while block := stream.read(BLOCK_BYTES):
                self.position = stream.tell()
                yield block

    def _blocks_to_end(self, stream: BinaryIO, end: int) -> Iterator[bytes]:
        """Yields the bytes up to `end`, and those of the line that runs over it."""
        last = b""
        while left := end - stream.tell():
            block = stream.read(min(BLOCK_BYTES, left))
            if not block:
                return
            self.position = stream.tell()
            yield block
            last = block[-1:]
        while last != b"\n" and (line := stream.readline(BLOCK_BYTES)):
            yield line
            last = line[-1:]

    def _open(self) -> BinaryIO:
        try:
            raw = open(self.path, "rb")  # noqa: SIM115
        except OSError as error:
            raise InputError(f"Cannot read {self.path}: {error.strerror}.") from error
        if self._compression is None:
            return raw
        if self.begin or self.end is not None:
            raise ValueError("a compressed file has no ranges")
        if self._compression == "zst":
            return _Decompressed(_open_zst(raw, self.path), raw)
        module = {"gz": gzip, "bz2": bz2, "xz": lzma}[self._compression]
        return _Decompressed(module.open(raw), raw)

    def _find_compression(self) -> str | None:
        try:
            with open(self.path, "rb") as file:
                head = file.read(6)
        except OSError as error:
            raise InputError(f"Cannot read {self.path}: {error.strerror}.") from error
        for magic, name in _MAGIC.items():
            if head.startswith(magic):
                return name
        return None

    @contextlib.contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (OSError, *_DAMAGED) as error:
            if self._compression is None:
                raise InputError(f"Cannot read {self.path}: {error}.") from error
            raise InputError(
                f"{self.path}: the {self._compression} file is damaged or cut short ({error}). "
                "Fetch or make it again."
            ) from error


class _Decompressed(io.BufferedReader):
    """A decompressing stream that closes the file below it, and knows it as `raw_file`."""

    def __init__(self, stream: io.RawIOBase, raw_file: BinaryIO):
        super().__init__(stream, BLOCK_BYTES)
        self.raw_file = raw_file

    def close(self) -> None:
        super().close()
        self.raw_file.close()


class _ZstdStream(io.RawIOBase):
    """The content of zstd frames; unlike the library's own stream it tells of a missing end."""

    # A thousand bytes of zstd can hold some 30 MB.
    _CHUNK_BYTES = 1000

    def __init__(self, raw_file: BinaryIO, zstandard: types.ModuleType):
        self._raw_file = raw_file
        self._error = zstandard.ZstdError
        # Frames that want a window over 128 MiB are refused, which bounds the memory.
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = None
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready:
            chunk = self._rest or self._raw_file.read(self._CHUNK_BYTES)
            self._rest = b""
            if not chunk:
                if self._frame is not None:
                    raise EOFError("a frame has no end")
                return 0
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            try:
                self._ready = memoryview(self._frame.decompress(chunk))
            except self._error as error:
                raise OSError(str(error)) from error
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame = None
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def _open_zst(raw: BinaryIO, path: str) -> _ZstdStream:
    try:
        import zstandard
    except ImportError:
        raise InputError(
            f"{path} is compressed by zstd, which needs a package more: "
            "pip install -e '.[zst]'. Or decompress it first: zstd -d."
        ) from None
    return _ZstdStream(raw, zstandard)


def _read_up_to(stream: BinaryIO, size: int) -> bytes:
    blocks = []
    while size > 0 and (block := stream.read(min(size, BLOCK_BYTES))):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _skip_line(stream: BinaryIO) -> None:
    while (line := stream.readline(BLOCK_BYTES)) and not line.endswith(b"\n"):
        pass
