"""Workbooks that are small to send and would be huge to read, or that are not what they say."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping

from tests.corpus import xlsx

MEGABYTE = 1 << 20
HEADER = [["customer_id", "name"]]


def _with(sheet: str, strings: str = "") -> bytes:
    """A workbook with this sheet and these shared texts."""
    return xlsx.zipped(xlsx.parts(sheet, strings=strings))


def _deflate_bomb() -> bytes:
    return _with(xlsx.sheet(xlsx.grid(HEADER), after=" " * 100 * MEGABYTE))


def _nested() -> bytes:
    """Zip files in zip files, as 42.zip: nobody opens them."""
    inner = xlsx.zipped({"0.dll": b"\0" * MEGABYTE})
    for _ in range(4):
        inner = xlsx.zipped({f"{number}.zip": inner for number in range(16)})
    return inner


def _many_parts() -> bytes:
    return xlsx.zipped(xlsx.parts(xlsx.sheet("")) | {f"xl/media/{number}": b"" for number in range(20_000)})


def _lying_sizes() -> bytes:
    """The directory says that the sheet has 1,000 bytes: those who believe it are told 50 MB."""
    content = _with(xlsx.sheet(xlsx.grid(HEADER), after=" " * 50 * MEGABYTE))
    return _patched(content, "xl/worksheets/sheet1.xml", 24, struct.pack("<L", 1000))


def _far_cell() -> bytes:
    return _with(xlsx.sheet(xlsx.grid(HEADER) + f'<row r="1048576">{xlsx.cell("far", "XFD1048576")}</row>'))


def _far_row() -> bytes:
    """No column is too far and no row is, but together they are 27 million cells."""
    rows = xlsx.grid([[*HEADER[0], *["note"] * 24]]) + f'<row r="1048576">{xlsx.cell("far", "A1048576")}</row>'
    return _with(xlsx.sheet(rows))


def _far_without_references() -> bytes:
    """As many cells after one another as a spreadsheet has no columns for, none of which says where it is."""
    return _with(xlsx.sheet(xlsx.grid([["customer_id", *range(30_000)], *[["x"]] * 1000], references=False)))


def _billion_laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE worksheet [<!ENTITY l0 "lol">{entities}]>'
    page = xlsx.sheet('<row r="1"><c r="A1" t="inlineStr"><is><t>&l9;</t></is></c></row>')
    return _with(page.replace(xlsx.XML, xlsx.XML + doctype))


def _external_entity() -> bytes:
    doctype = '<!DOCTYPE worksheet [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    page = xlsx.sheet('<row r="1"><c r="A1" t="inlineStr"><is><t>&file;</t></is></c></row>')
    return _with(page.replace(xlsx.XML, xlsx.XML + doctype))


def _shared_text_multiplied() -> bytes:
    """A text of 32 KB that 20,000 cells refer to: 640 MB."""
    strings = xlsx.Strings()
    rows = xlsx.grid(([f"c-{n}", "x" * 32_000] for n in range(20_000)), strings)
    return _with(xlsx.sheet(rows), strings=strings.xml())


def _shared_text_in_disguise() -> bytes:
    """As above, but the number is written so that a careful parser reads that of a short text and calamine does not."""
    strings = f'{xlsx.XML}<sst xmlns="{xlsx.MAIN}">' + "".join(
        f"<si><t>{'x' * 32_000 if number == 1 else ''}</t></si>" for number in range(11)
    )
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>1&#48;</v></c></row>' for n in range(1, 20_001))
    return _with(xlsx.sheet(rows), strings=strings + "</sst>")


def _reserved_texts() -> bytes:
    """Says that it has more texts than there is memory for: the parser would believe it, and the process end."""
    strings = f'{xlsx.XML}<sst xmlns="{xlsx.MAIN}" uniqueCount="99999999999999"><si><t>customer_id</t></si></sst>'
    return _with(xlsx.sheet('<row r="1"><c r="A1" t="s"><v>0</v></c></row>'), strings=strings)


def _overlapping() -> bytes:
    """Many entries of the directory that are all the same bytes (after David Fifield)."""
    parts = xlsx.parts(xlsx.sheet(xlsx.grid(HEADER)))
    kernel = "xl/media/0.xml"
    content = xlsx.zipped(parts | {kernel: "0" * MEGABYTE})
    (*_, entry), end = _directory(content)
    copies = b"".join(
        entry.replace(kernel.encode(), b"xl/media/%c.xml" % letter) for letter in b"abcdefghijklmnopqrstuvw"
    )
    size, start = struct.unpack_from("<LL", content, end + 12)
    count = len(parts) + 1 + 23
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size + len(copies), start, 0)
    return content[:end] + copies + tail


def _deeply_nested() -> bytes:
    return _with(xlsx.sheet("<row>" * 500_000 + "</row>" * 500_000))


def _hidden_by_its_encoding() -> bytes:
    page = xlsx.sheet(xlsx.grid(HEADER)).removeprefix(xlsx.XML)
    return xlsx.zipped(xlsx.parts("") | {"xl/worksheets/sheet1.xml": page.encode("utf-16")})


def _declared_in_another_encoding() -> bytes:
    return _with(xlsx.sheet(xlsx.grid(HEADER)).replace("UTF-8", "UTF-7"))


def _two_sheets_of_one_name() -> bytes:
    file = io.BytesIO(_with(xlsx.sheet(xlsx.grid(HEADER))))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("XL/worksheets/Sheet1.XML", xlsx.sheet("<row/>" * 1000))
    return file.getvalue()


def _endless_number_format() -> bytes:
    """A format of 500,000 characters that 50,000 styles have: the parser would go through 25 billion."""
    code = "".join(map(str, range(100_000)))
    formats = f'<numFmts><numFmt numFmtId="200" formatCode="{code}"/></numFmts>'
    styles = (
        f'<styleSheet xmlns="{xlsx.MAIN}">{formats}<cellXfs>{'<xf numFmtId="200"/>' * 50_000}</cellXfs></styleSheet>'
    )
    return xlsx.zipped(xlsx.parts(xlsx.sheet(xlsx.grid(HEADER)), styles=styles))


def _many_relations() -> bytes:
    relations = "".join(f'<Relationship Id="{number}"/>' for number in range(200_000))
    parts = xlsx.parts(xlsx.sheet(""))
    return xlsx.zipped(parts | {"xl/_rels/workbook.xml.rels": f"<Relationships>{relations}</Relationships>"})


def _many_sheets() -> bytes:
    sheets = "".join(f'<sheet name="{number}" id="{number}"/>' for number in range(200_000))
    return xlsx.zipped(xlsx.parts(xlsx.sheet("")) | {"xl/workbook.xml": f"<workbook>{sheets}</workbook>"})


def _one_part_twice() -> bytes:
    relations = '<Relationship Id="rId1" Type="/worksheet" Target="styles.xml"/>'
    return xlsx.zipped(xlsx.parts("") | {"xl/_rels/workbook.xml.rels": f"<Relationships>{relations}</Relationships>"})


def _one_huge_value() -> bytes:
    return xlsx.workbook([*HEADER, ["c-1", "".join(map(str, range(400_000)))]], shared=False)


def _encrypted_part() -> bytes:
    return _patched(_with(xlsx.sheet(xlsx.grid(HEADER))), "xl/worksheets/sheet1.xml", 8, struct.pack("<H", 1))


def _patched(content: bytes, part: str, offset: int, field: bytes) -> bytes:
    """With another field in a part's entry of the directory."""
    place = content.index(part.encode(), content.rindex(b"PK\1\2")) - 46 + offset
    return content[:place] + field + content[place + len(field) :]


def _directory(content: bytes) -> tuple[list[bytes], int]:
    """The entries of the directory, and where it ends."""
    end = content.rindex(b"PK\5\6")
    (start,) = struct.unpack_from("<L", content, end + 16)
    return [b"PK\1\2" + entry for entry in content[start:end].split(b"PK\1\2")[1:]], end


# By the name of the file: how it is made, and the code of the refusal.
BOMBS: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "bomb-deflate.xlsx": (_deflate_bomb, "unsafe_workbook"),
    "bomb-nested.xlsx": (_nested, "unsupported_file"),
    "bomb-many-parts.xlsx": (_many_parts, "unsafe_workbook"),
    "bomb-lying-sizes.xlsx": (_lying_sizes, "unsafe_workbook"),
    "bomb-overlapping.xlsx": (_overlapping, "unsafe_workbook"),
    "bomb-far-cell.xlsx": (_far_cell, "workbook_too_large"),
    "bomb-far-row.xlsx": (_far_row, "workbook_too_large"),
    "bomb-far-without-references.xlsx": (_far_without_references, "workbook_too_large"),
    "bomb-billion-laughs.xlsx": (_billion_laughs, "unsafe_workbook"),
    "bomb-external-entity.xlsx": (_external_entity, "unsafe_workbook"),
    "bomb-shared-text.xlsx": (_shared_text_multiplied, "workbook_too_large"),
    "bomb-shared-text-in-disguise.xlsx": (_shared_text_in_disguise, "workbook_too_large"),
    "bomb-reserved-texts.xlsx": (_reserved_texts, "damaged_workbook"),
    "bomb-deeply-nested.xlsx": (_deeply_nested, "unsafe_workbook"),
    "bomb-number-format.xlsx": (_endless_number_format, "unsafe_workbook"),
    "bomb-many-relations.xlsx": (_many_relations, "unsafe_workbook"),
    "bomb-many-sheets.xlsx": (_many_sheets, "unsafe_workbook"),
    "bomb-one-huge-value.xlsx": (_one_huge_value, "unsafe_workbook"),
    "hostile-one-part-twice.xlsx": (_one_part_twice, "damaged_workbook"),
    "hostile-utf-16-part.xlsx": (_hidden_by_its_encoding, "unsafe_workbook"),
    "hostile-utf-7-part.xlsx": (_declared_in_another_encoding, "unsafe_workbook"),
    "hostile-two-sheets-of-one-name.xlsx": (_two_sheets_of_one_name, "unsafe_workbook"),
    "hostile-encrypted-part.xlsx": (_encrypted_part, "unsafe_workbook"),
}
