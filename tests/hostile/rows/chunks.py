"""Chunk lines and chunk data (RFC 9112 section 7.1): the size, its extensions, and the line ends around them."""

from __future__ import annotations

from collections.abc import Mapping

from hostile.row import Answer, CutShort, Refused, Row

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"

NOT_A_SIZE = "not a chunk size"
NO_CR = "ends without CR"
WRONG_SIZE = "longer or shorter than its size says"
TOO_MUCH = "bytes of chunk metadata"

# Metadata that does not count, on each line, and what may come in all beyond it.
FREE, BUDGET = 16, 16 * 1024


def read(name: str, coding: bytes, body: bytes = b"hello", source: str = "RFC 9112 7.1") -> Row:
    return Row(f"chunks: {name}", HEAD + coding, Answer(200, body), source)


def refused(name: str, coding: bytes, why: str, source: str = "RFC 9112 7.1") -> Row:
    return Row(f"chunks: {name}", HEAD + coding, Refused(why), source)


def too_much(name: str, coding: bytes) -> Row:
    return Row(f"chunks: {name}", HEAD + coding, Refused(TOO_MUCH, code="HPE_HEADER_OVERFLOW"), "Go CVE-2023-39326")


def chunk(data: bytes, line: bytes | None = None) -> bytes:
    return b"%b\r\n%b\r\n" % (b"%x" % len(data) if line is None else line, data)


def line_of(size: int, first: bytes = b"5;a=") -> bytes:
    """A chunk line of `size` bytes with its line end, most of them an extension's value."""
    return first + b"x" * (size - len(first) - 2) + b"\r\n"


def sizes() -> list[Row]:
    """One chunk of each of these sizes, written in hexadecimal digits of either case (RFC 5234 B.1: "a" is "A")."""
    written = (b"1", b"9", b"a", b"A", b"f", b"F", b"10", b"1f", b"1F", b"aB", b"Ab", b"ff", b"100", b"FFF", b"1e1")
    return [
        read(f"a size of {digits.decode()}", chunk(data, digits) + LAST, data)
        for digits in written
        for data in [b"." * int(digits, 16)]
    ]


def leading_zeros() -> list[Row]:
    return [
        *(
            read(f"a size with {count} leading zeros", chunk(b"hello", b"0" * count + b"5") + LAST)
            for count in (1, 2, 7, 15)
        ),
        *(read(f"a last chunk of {count} zeros", chunk(b"hello") + b"0" * count + b"\r\n\r\n") for count in (2, 5, 16)),
    ]


# What may stand behind a size; the blanks around ";" and "=" are bad white space, which "a recipient MUST parse"
# (RFC 9110 section 5.6.3).
EXTENSIONS: Mapping[str, bytes] = {
    "a name": b";a",
    "a name and a token": b";a=b",
    "a number": b";a=1",
    "every character of a token": b";!#$%&'*+-.^_`|~=0azAZ",
    "two of them": b";a=b;c=d",
    "names alone": b";a;b;c",
    "the same one twice": b";a=1;a=2",
    "a quoted string": b';a="b"',
    "an empty quoted string": b';a=""',
    "a quoted string with a blank": b';a="b c"',
    "a quoted string with a tab": b';a="b\tc"',
    "a quoted string with a separator": b';a="b;c=d"',
    "a quoted string with a quoted quote": rb';a="b\"c"',
    "a quoted string with a quoted backslash": rb';a="b\\"',
    "a quoted string with a quoted letter": rb';a="\b"',
    "a quoted string of a chunk line": b';a="5"',
    "a quoted string beyond ASCII": b';a="\xc3\xa9"',
    "a quoted string with a quoted byte beyond ASCII": b';a="\\\xe9"',
    "two quoted strings": b';a="b";c="d"',
    "a blank before it": b" ;a=b",
    "a blank behind the semicolon": b"; a=b",
    "a blank before the equals sign": b";a =b",
    "a blank behind the equals sign": b";a= b",
    "a blank before a quoted string": b';a= "b"',
    "blanks before the second": b";a=b ; c=d",
    "tabs wherever blanks may be": b'\t;\ta\t=\t"b"',
    "many blanks": b"   ;   a   =   b",
}

# What no extension is.
BROKEN_EXTENSIONS: Mapping[str, bytes] = {
    "without a name": b";",
    "without a name, and another": b";;a",
    "without a name, and a value": b";=b",
    "without the value": b";a=",
    "with a separator in its name": b";a/b",
    "with a separator in its value": b";a=b/c",
    "with two values": b";a=b=c",
    "with a blank in its name": b";a b",
    "with a blank in its value": b";a=b c",
    "after a comma": b",a=b",
    "with an open quoted string": b';a="b',
    "with an open quoted string that ends in a backslash": b';a="b\\',
    "with a quote that is quoted and no other": rb';a="b\"',
    "with a quoted string in a token": b';a=b"c"',
    "with a token behind a quoted string": b';a="b"c',
    "with a quoted name": b';"a"=b',
    "with a NUL": b";a=\0",
    "with a NUL in a quoted string": b';a="\0"',
    "with a control character in a quoted string": b';a="\x01"',
    "with a quoted control character": b';a="\\\x01"',
    "with DEL in a quoted string": b';a="\x7f"',
    "with CR": b";a\rb",
    "with CR in a quoted string": b';a="b\rc"',
    "beyond ASCII, unquoted": b";\xc3\xa9",
}


def extensions() -> list[Row]:
    clause = "RFC 9112 7.1.1"
    return [
        *(
            read(f"an extension: {name}", chunk(b"hello", b"5" + text) + LAST, source=clause)
            for name, text in EXTENSIONS.items()
        ),
        *(
            read(f"an extension of the last chunk: {name}", chunk(b"hello") + b"0" + EXTENSIONS[name] + b"\r\n\r\n")
            for name in ("a name", "two of them", "a quoted string", "tabs wherever blanks may be")
        ),
        read("an extension of every chunk", chunk(b"hel", b"3;a=1") + chunk(b"lo", b"2;a=2") + b"0;a=3\r\n\r\n"),
        *(
            refused(f"an extension {name}", chunk(b"hello", b"5" + text) + LAST, NOT_A_SIZE, clause)
            for name, text in BROKEN_EXTENSIONS.items()
        ),
        refused("an extension with LF", chunk(b"hello", b"5;a\nb") + LAST, NO_CR, clause),
        refused("an extension with LF in a quoted string", chunk(b"hello", b'5;a="b\nc"') + LAST, NO_CR, clause),
        refused("an extension with a line end in a quoted string", chunk(b"hello", b'5;a="b\r\nc"') + LAST, NOT_A_SIZE),
        refused("an extension of the last chunk that is none", chunk(b"hello") + b"0;\r\n\r\n", NOT_A_SIZE, clause),
    ]


def padding() -> list[Row]:
    """Blanks behind the size, which servers pad it with (Tomcat's ancestors to four places; h11 #133, undici #2678).

    Nothing can hide in them. In front of it, and inside, they would: "5 0" is 5 to one reader and 80 to another.
    """
    blanks: Mapping[str, bytes] = {"a blank": b" ", "three blanks": b"   ", "a tab": b"\t", "blank and tab": b" \t"}
    return [
        *(
            read(f"{name} behind the size", chunk(b"hello", b"5" + blank) + LAST, source="h11")
            for name, blank in blanks.items()
        ),
        read("a blank behind the last size", chunk(b"hello") + b"0 \r\n\r\n", source="h11"),
        read("blanks up to four places, everywhere", chunk(b"hello", b"5   ") + b"0   \r\n\r\n", source="h11"),
        read("a blank behind an extension", chunk(b"hello", b"5;a=b ") + LAST, source="h11"),
        *(
            refused(f"{name} before the size", chunk(b"hello", blank + b"5") + LAST, NOT_A_SIZE)
            for name, blank in blanks.items()
        ),
        refused("a blank inside the size", chunk(b"hello", b"0 5") + LAST, NOT_A_SIZE),
        refused("a blank and another digit", chunk(b"hello", b"5 0") + LAST, NOT_A_SIZE),
        refused("a blank instead of a size", chunk(b"hello", b" ") + LAST, NOT_A_SIZE),
        refused("a blank and a word behind the size", chunk(b"hello", b"5 bytes") + LAST, NOT_A_SIZE),
        refused("a vertical tab behind the size", chunk(b"hello", b"5\x0b") + LAST, NOT_A_SIZE),
        refused("a form feed behind the size", chunk(b"hello", b"5\x0c") + LAST, NOT_A_SIZE),
        refused("a NUL behind the size", chunk(b"hello", b"5\0") + LAST, NOT_A_SIZE),
        refused("a no-break space behind the size", chunk(b"hello", b"5\xa0") + LAST, NOT_A_SIZE),
    ]


def other_sizes() -> list[Row]:
    """What is no size, though one reader or another has taken it for one."""
    written = (
        *(b"-5", b"+5", b"-0", b"0x5", b"0X5", b"x5", b"\\x5", b"5h", b"h", b"5L", b"5_0", b"5,0", b"5.0", b"5e+0"),
        *(b'"5"', b"'5'", b"%35", b"#5", b"(5)", b"5:", b"5=", b"\xb5", b"\xef\xbc\x95", b"$5", b"NaN", b"size=5"),
    )
    return [
        *(refused(f"a size of {text!r}", chunk(b"hello", text) + LAST, NOT_A_SIZE) for text in written),
        refused("a negative size", chunk(b"hello", b"-1") + LAST, NOT_A_SIZE, "RFC 9112 7.1"),
        refused("a last size with a sign", chunk(b"hello") + b"-0\r\n\r\n", NOT_A_SIZE),
        *(
            refused(f"a size of {len(digits)} digits{more}", chunk(b"hello", digits) + LAST, NOT_A_SIZE, source)
            for digits, more, source in (
                (b"0" * 16 + b"5", ", zeros before it", "curl"),
                (b"1" + b"0" * 16, ", 2^64", "llhttp"),
                (b"1" + b"0" * 15 + b"5", ", which 64 bits would cut to 5", "llhttp"),
                (b"f" * 17, "", "llhttp"),
                (b"f" * 32, "", "llhttp"),
                (b"0" * 499 + b"5", "", "curl"),
            )
        ),
        *(
            # It is never prepared for: what comes is what counts.
            Row(f"chunks: a size of {name}", HEAD + chunk(b"hello", digits), CutShort(), "RFC 9112 7.1")
            for name, digits in (
                ("2^31", b"80000000"),
                ("2^32", b"100000000"),
                ("2^63 - 1", b"7" + b"f" * 15),
                ("2^63", b"8" + b"0" * 15),
                ("2^64 - 1", b"f" * 16),
            )
        ),
    ]


def line_ends() -> list[Row]:
    return [
        refused("LF alone behind the size", b"5\nhello\r\n" + LAST, NO_CR, "llhttp"),
        refused("LF alone behind an extension", b"5;a\nhello\r\n" + LAST, NO_CR, "llhttp"),
        refused("LF alone behind the data", b"5\r\nhello\n" + LAST, WRONG_SIZE, "h11"),
        refused("LF alone behind the last size", chunk(b"hello") + b"0\n\r\n", NO_CR, "llhttp"),
        refused("LF alone at the very end", chunk(b"hello") + b"0\r\n\n", NO_CR, "llhttp"),
        refused("LF alone everywhere", b"5\nhello\n0\n\n", NO_CR, "llhttp"),
        refused("LF in front of the size", b"\n" + chunk(b"hello") + LAST, NO_CR, "h11"),
        refused("a line end in front of the size", b"\r\n" + chunk(b"hello") + LAST, NOT_A_SIZE, "h11"),
        refused("a line end between two chunks", chunk(b"hel") + b"\r\n" + chunk(b"lo") + LAST, NOT_A_SIZE, "h11"),
        refused("CR alone behind the size", b"5\rhello\r\n" + LAST, NOT_A_SIZE, "llhttp"),
        refused("CR alone behind the data", b"5\r\nhello\r" + LAST, WRONG_SIZE, "h11"),
        refused("CR twice behind the size", b"5\r\r\nhello\r\n" + LAST, NOT_A_SIZE, "llhttp"),
        refused("CR twice behind the data", b"5\r\nhello\r\r\n" + LAST, WRONG_SIZE, "h11"),
        refused("LF and CR behind the data", b"5\r\nhello\n\r" + LAST, WRONG_SIZE, "h11"),
        refused("no line end behind the data", b"5\r\nhello" + LAST, WRONG_SIZE, "h11"),
        refused("two line ends behind the data", b"5\r\nhello\r\n\r\n" + LAST, NOT_A_SIZE, "h11"),
        refused("two line ends behind the size", b"5\r\n\r\nhello\r\n" + LAST, WRONG_SIZE, "h11"),
        refused("a blank behind the data", b"5\r\nhello \r\n" + LAST, WRONG_SIZE, "h11"),
        refused("a byte more than the size says", b"4\r\nhello\r\n" + LAST, WRONG_SIZE, "h11"),
        refused("a byte less than the size says", b"6\r\nhello\r\n" + LAST, WRONG_SIZE, "h11"),
        refused("data without a size", b"hello\r\n" + LAST, NOT_A_SIZE, "h11"),
        refused("no chunks at all, but content", b'{"a": 1}\r\n\r\n', NOT_A_SIZE, "h11"),
        refused("a response instead of a chunk", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NOT_A_SIZE, "h11"),
    ]


def layouts() -> list[Row]:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    return [
        read("one", chunk(b"hello") + LAST),
        read("a byte each", b"".join(chunk(b"%c" % byte) for byte in b"hello") + LAST),
        read("500 of a byte", chunk(b"x") * 500 + LAST, b"x" * 500),
        # Lines that are free, and would be too many if they were not.
        read("1100 of a byte, with long sizes", chunk(b"x", b"00000000000001") * 1100 + LAST, b"x" * 1100),
        read("a large one", chunk(b"x" * 5000) + LAST, b"x" * 5000),
        read("growing", b"".join(chunk(b"x" * size) for size in range(1, 65)) + LAST, b"x" * 2080),
        read("a character in two", chunk(b"\xe2\x82") + chunk(b"\xac") + LAST, b"\xe2\x82\xac"),
        read("a line end in two", chunk(b"\r") + chunk(b"\n") + LAST, b"\r\n"),
        read("content of a line end", chunk(b"\r\n") + LAST, b"\r\n"),
        read("content of many line ends", chunk(b"\r\n" * 20) + LAST, b"\r\n" * 20),
        read("content of a last chunk", chunk(LAST) + LAST, LAST),
        read("content of chunks", chunk(chunk(b"hello") + LAST) + LAST, chunk(b"hello") + LAST),
        read("content of a response", chunk(response) + LAST, response),
        read(
            "content of a whole chunked response", chunk(HEAD + chunk(b"no") + LAST) + LAST, HEAD + chunk(b"no") + LAST
        ),
        read("content of NULs", chunk(bytes(64)) + LAST, bytes(64)),
        read("content of every byte", chunk(bytes(range(256))) + LAST, bytes(range(256))),
        Row(
            "chunks: the last of the connection",
            HEAD[:-2] + b"Connection: close\r\n\r\n" + chunk(b"hello") + LAST,
            Answer(200, b"hello", kept=False),
            "RFC 9112 9.3",
        ),
        Row("chunks: an answer to POST", HEAD + chunk(b"hello") + LAST, Answer(200, b"hello"), "RFC 9112 7.1", "POST"),
    ]


def budget() -> list[Row]:
    """What is no content is counted, as it could go on for ever."""
    whole = line_of(FREE + BUDGET)
    share = line_of(FREE + 1024)
    return [
        read("an extension as long as may be", whole + b"hello\r\n" + LAST, source="RFC 9112 7.1.1"),
        too_much("an extension one byte longer", line_of(FREE + BUDGET + 1) + b"hello\r\n" + LAST),
        too_much("a quoted extension without an end", b'5;a="' + b"x" * (FREE + BUDGET)),
        too_much("a size without an end", b"0" * (FREE + BUDGET + 1)),
        read("extensions as long as may be together", (share + b"hello\r\n") * 16 + LAST, b"hello" * 16),
        too_much(
            "extensions one line longer together", (share + b"hello\r\n") * 16 + line_of(FREE + 1) + b"hello\r\n" + LAST
        ),
        too_much("a last chunk with the longest extension", share + b"hello\r\n" + line_of(FREE + BUDGET, b"0;a=")),
    ]


ROWS: list[Row] = [
    *layouts(),
    *sizes(),
    *leading_zeros(),
    *extensions(),
    *padding(),
    *budget(),
    *other_sizes(),
    *line_ends(),
]
