"""Bytes to text: UTF-8, or Windows' western code page as the web's standards define it."""

import codecs
from collections.abc import Callable
from typing import BinaryIO, Literal

type Encoding = Literal["utf-8", "cp1252"]
type Decode = Callable[[bytes], str]

_BLOCK_BYTES = 1 << 18

# Five bytes have no character in it. As the standard has it they are control characters, which no value may contain, so
# that whoever sends them hears of it.
_WINDOWS_1252 = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))


def decoder(encoding: Encoding) -> Decode:
    """Decodes what is complete. Raises UnicodeDecodeError for what is not UTF-8."""
    if encoding == "utf-8":
        return bytes.decode
    return lambda text: codecs.charmap_decode(text, "strict", _WINDOWS_1252)[0]


def encoding_of(file: BinaryIO) -> Encoding:
    """UTF-8 if all of it is, from where the file stands to its end."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        while block := file.read(_BLOCK_BYTES):
            decode(block)
        decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
