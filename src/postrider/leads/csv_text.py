"""From the bytes of a file to text: which encoding they are in, and which character separates the cells."""

import codecs
import re
from typing import BinaryIO, Final

from postrider.kernel.errors import InvalidInput

_BLOCK_BYTES: Final = 256 * 1024
_SAMPLE_BYTES: Final = 64 * 1024
_DELIMITERS: Final = (",", ";", "\t", "|")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS: Final = (
    (b"PK\x03\x04", "a spreadsheet or ZIP file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"%PDF", "a PDF file"),
    (b"\x1f\x8b", "a gzip file"),
)
_OTHER_SCRIPTS: Final = ("cp1251", "koi8_r", "cp1253", "shift_jis", "euc_kr", "gb18030", "big5")
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]+")
_SYMBOL_IN_WORD: Final = re.compile(r"((?<=[^\W\d_])[\xa3\xa5\xaf\xb3\xb9\xbf]|(?<!\w)[\xa3\xa5\xaf])(?=[^\W\d_])")
"""Signs inside words: what Polish looks like when it is read as Western European text."""


def detect_encoding(file: BinaryIO) -> str:
    """The encoding of all of ``file``, which is left at its start.

    A byte order mark decides; else UTF-8 if every byte fits; else the likeliest of the older ones.
    Raises: InvalidInput for what is no text at all.
    """
    start = file.read(_SAMPLE_BYTES)
    file.seek(0)
    for magic, what in _OTHER_FORMATS:
        if start.startswith(magic):
            raise InvalidInput(f"This is {what}, not a CSV file.", field="csv", hint="Save it as CSV in UTF-8.")
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    zeros = start.count(b"\x00")
    if zeros * 3 >= len(start) > 0:
        return "utf-16-le" if start[1::2].count(b"\x00") > zeros / 2 else "utf-16-be"
    unusual = _not_utf8(file)
    return "utf-8" if not unusual else _older_encoding(unusual)


def detect_delimiter(header: str) -> str:
    """The character that separates the cells of the first line: the one that stands there most often."""
    outside_quotes = re.sub(r'"(?:[^"]|"")*"', "", header)
    return max(_DELIMITERS, key=outside_quotes.count)


def _not_utf8(file: BinaryIO) -> bytes:
    """Lines with bytes that UTF-8 cannot explain; nothing if the whole file is UTF-8. Leaves ``file`` at its start."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(_BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
        return b""
    except UnicodeDecodeError:
        file.seek(0)
        return _lines_with_high_bytes(file)
    finally:
        file.seek(0)


def _lines_with_high_bytes(file: BinaryIO) -> bytes:
    sample = bytearray()
    while len(sample) < _SAMPLE_BYTES and (block := file.read(_BLOCK_BYTES)):
        for line in block.splitlines(keepends=True):
            if not line.isascii():
                sample += line[:1_000]
    return bytes(sample[:_SAMPLE_BYTES])


def _older_encoding(sample: bytes) -> str:
    """Latin letters stand alone among ASCII (the Windows code pages); other scripts come in runs."""
    runs = [run for run in _HIGH_RUN.findall(sample) if run]
    alone = sum(len(run) == 1 for run in runs)
    if alone * 2 >= len(runs):
        western = sample.decode("cp1252", "replace")
        return "cp1250" if _SYMBOL_IN_WORD.search(western) else "cp1252"
    # Imported late: loading it takes longer than most imports run.
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(_OTHER_SCRIPTS)).best()
    return best.encoding if best is not None else "cp1252"
