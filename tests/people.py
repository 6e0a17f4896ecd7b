"""Made-up files of customers, as large as a test wants them."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = ["Customer ID", "First name", "Last name", "E-mail", "Phone", "Status", "Birthday"]
STATUSES = ("lead", "customer", "", "VIP")
BAD_EVERY = 100  # rows


@dataclass(frozen=True)
class People:
    """A file of `count` rows of which each hundredth is bad, in turn for one of five reasons."""

    count: int
    prefix: str = "P"

    def rows(self) -> Iterator[tuple[list[str], str | None]]:
        """The cells of each row, and the code of what is wrong with it."""
        for n in range(self.count):
            key = f"{self.prefix}-{n:07}"
            row = [key, f"Zoë {n}", f'O\'Hara "{n}"', f"zoe.{n}@example.com", f"+49 30 {n:07}", STATUSES[n % 4], "1.4."]
            if n % BAD_EVERY != BAD_EVERY - 1:
                yield row, None
                continue
            match n // BAD_EVERY % 5:
                case 0:
                    yield [*row[:3], "no address", *row[4:]], "value_error"
                case 1:
                    yield ["", *row[1:]], "customer_id_missing"
                case 2:
                    yield [f"{self.prefix}-{n - 7:07}", *row[1:]], "duplicate_row"
                case 3:
                    yield [*row, "one more"], "too_many_cells"
                case _:
                    yield [*row[:1], "x" * 300, *row[2:]], "string_too_long"

    def file(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(HEADER)
        writer.writerows(row for row, _ in self.rows())
        return text.getvalue().encode()

    @property
    def rejected(self) -> dict[int, str]:
        """The code of each bad row by its number in a spreadsheet."""
        return {number: code for number, (_, code) in enumerate(self.rows(), 2) if code}
