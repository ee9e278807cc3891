"""The words of the command line: commands, options and their help. The one file that imports click.

A command does nothing here: it becomes a job. What was given with the options is read by `inputs`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from atomhttp._cli import inputs
from atomhttp._cli.exit_codes import MEANINGS, ExitCode, UsageError
from atomhttp._cli.jobs import Call, Display, Download, Http2, Job, Upload
from atomhttp._cli.terminal import write_text
from atomhttp._model.timeout import Timeout
from atomhttp._version import __version__

PROGRAM: Final = "atomhttp"

_EXAMPLES: Final = """\
Examples:

\b
  atomhttp get https://api.example.com/users -q page=2
  atomhttp post https://api.example.com/users --json '{"name": "Ada"}'
  atomhttp post https://api.example.com/photos -F title=Cat -F photo=@cat.jpg
  atomhttp get :8000/health -v --timings
  atomhttp get https://api.example.com/private --bearer "$TOKEN" | jq .name
  atomhttp download https://example.com/image.iso
  atomhttp download -O dir https://example.com/a.gz https://example.com/b.gz
  atomhttp upload backup.tar https://storage.example.com/backup.tar

A URL without a scheme means https; for localhost and 127.x it means http, and
':8000/path' is 'http://localhost:8000/path'.

Exit codes:

\b
"""


def parse(arguments: Sequence[str]) -> Callable[[], Job] | int:
    """What `arguments` ask for: a function that reads the files named and makes the job; an exit code when it was
    help that was asked for.

    Raises:
        UsageError: they ask for nothing that there is.
        KeyboardInterrupt: Ctrl+C.
    """
    said = TextIOWrapper(BytesIO(), "utf-8", newline="")
    try:
        # Written by us: where nobody reads it click ends the program, and it fails where the encoding has not a letter.
        with redirect_stdout(said):
            # What a command returns, or what --help exits with.
            parsed: Callable[[], Job] | int = _main.main(list(arguments), PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        raise UsageError(_explain(error), context.command_path if context else PROGRAM) from None
    except click.Abort:
        raise KeyboardInterrupt from None
    finally:
        said.flush()
        write_text(said.buffer.getvalue().decode(), sys.stdout)
    return parsed


# What people type who come from curl, wget or HTTPie, and what it is here.
_HABITS: Final = {
    ("-X", "--request"): "the method is the command, as in 'atomhttp post URL'",
    ("-I", "--head"): "'atomhttp head URL' asks for the head",
    ("-i", "--include", "--headers"): "-v shows the heads",
    ("-L", "--location", "--follow"): "redirects are followed, --max-redirects says how many",
    ("-k", "--verify", "--no-check-certificate"): "here it is --insecure, or better --cacert FILE",
    ("-u", "--user", "-a"): "here it is --auth USER[:PASSWORD]",
    ("-A", "--user-agent"): "here it is -H 'User-Agent: NAME'",
    ("-e", "--referer"): "here it is -H 'Referer: URL'",
    ("-b", "--cookie"): "here it is -H 'Cookie: NAME=VALUE'",
    ("-x",): "here it is --proxy URL",
    ("-m", "--max-time", "--connect-timeout"): "here it is --timeout SECONDS",
    ("--data-binary", "--data-raw", "--body"): "here it is -d TEXT, or -d @FILE",
    ("--data-urlencode",): "-q KEY=VALUE for the query, -F NAME=VALUE for a form",
    ("-T", "--upload-file"): "'atomhttp upload FILE URL' sends a file",
    ("-O", "--remote-name", "--download"): "'atomhttp download URL' stores a file",
    ("-o", "--output"): "FILE stands behind the URL",
    ("-C", "--continue", "-c"): "a download goes on where it broke off without being told",
    ("--http1.1", "-0", "--http1.0"): "HTTP/1.1 is what is spoken without --http2",
    ("-s", "--silent", "--quiet"): "into a pipe or a file goes nothing but the content",
}


def _explain(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption) and (hint := _find_hint(error)):
        return f"No such option '{error.option_name}'; {hint}"
    # Of several lines, such as the possible values, one is made.
    return " ".join(error.format_message().split()).rstrip(".")


def _find_hint(error: click.NoSuchOption) -> str:
    """What whoever typed it may have meant; "" if nobody knows."""
    if error.ctx is not None and error.ctx.command is _main and error.option_name in _known_options():
        return "options stand behind the command, as in 'atomhttp get URL -v'"
    return next((hint for names, hint in _HABITS.items() if error.option_name in names), "")


def _known_options() -> set[str]:
    return {name for command in _main.commands.values() for each in command.params for name in each.opts}


# How commands and options look in the help


class _Option(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *names: Any, section: str = "Options", **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.section = section

    def get_help_extra(self, ctx: click.Context) -> Any:
        # The help of each says in words what its range is.
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


_ITEM: Final = "; -q KEY=VALUE is for the query, -F NAME=VALUE for a form, --json for JSON, -H for a header"


class _Command(click.Command):
    """A command whose options stand under headings."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            shown = list(map(_show_word, rest))
            hint = _ITEM if any(word.endswith("…") for word in shown) else ""
            ctx.fail(f"Got unexpected extra {'argument' if len(rest) == 1 else 'arguments'} ({' '.join(shown)}){hint}")
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            # An argument is explained by the usage above; --help comes last.
            if isinstance(each, click.Option) and (record := each.get_help_record(ctx)) is not None:
                sections.setdefault(getattr(each, "section", "Help"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class _Group(click.Group):
    """All commands. A URL in the place of one is what newcomers type."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if self.get_command(ctx, word) is None:
            if self.get_command(ctx, word.lower()) is not None:
                args = [word.lower(), *args[1:]]
            elif re.search(r"[:/.]", word) or word.lower() == "localhost":
                ctx.fail(f"expected a command before the URL, as in 'atomhttp get {_plain_url(word)}'")
        return super().resolve_command(ctx, args)


def _show_word(word: str) -> str:
    """A word that nobody expected: of what HTTPie takes for a field or a parameter the name, as its value may be a
    secret."""
    if "://" in word:
        return _plain_url(word)
    item = re.match(r"[^=:]+[=:]+", word)
    return f"{item[0]}…" if item else word


def _plain_url(text: str) -> str:
    from atomhttp._redact import show_url

    return show_url(text)


_Decorator = Callable[[Any], Any]


def _section(title: str, *options: tuple[tuple[str, ...], dict[str, Any]]) -> _Decorator:
    def decorate(command: Any) -> Any:
        for names, attributes in reversed(options):
            command = click.option(*names, cls=_Option, section=title, **attributes)(command)
        return command

    return decorate


def _option(*names: str, **attributes: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, attributes


_FILE: Final[dict[str, Any]] = {"metavar": "FILE"}

_request = _section(
    "Request",
    _option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header field too."),
    _option("-q", "--query", "query", multiple=True, metavar="KEY=VALUE", help="Add to the URL's query string."),
    _option("--auth", metavar="USER[:PASSWORD]", help="Who you are. Without a password you are asked for it."),
    _option("--digest", is_flag=True, help="Prove the password of --auth by Digest, not sending it."),
    _option("--bearer", metavar="TOKEN", help="Who you are, by a token."),
)
_content = _section(
    "Content",
    _option("-d", "--data", "data", multiple=True, metavar="TEXT", help="Send a text, @FILE, or - for standard input."),
    _option("--json", "json", multiple=True, metavar="JSON", help="Send JSON: a text, @FILE, or - for standard input."),
    _option(
        *("-F", "--form", "form"),
        multiple=True,
        metavar="NAME=VALUE",
        help="Send a form: NAME=VALUE, or a file by NAME=@FILE[;type=TYPE][;filename=NAME].",
    ),
)
_connection = _section(
    "Connection",
    _option("--proxy", metavar="URL", help="Go through this proxy: http://, socks5:// or socks5h://."),
    _option("--unix-socket", metavar="PATH", help="Connect to this socket, and not by the URL's host."),
    _option("--insecure", is_flag=True, help="Do not verify certificates. Anybody on the way can listen."),
    _option("--cacert", **_FILE, help="Trust these authorities (PEM, or a directory) instead of the system's."),
    _option("--cert", **_FILE, help="Show this certificate (PEM)."),
    _option("--key", **_FILE, help="The key of --cert, if it is not in the same file."),
    _option("--http2", is_flag=True, help="Speak HTTP/2 where a server on TLS does."),
    _option("--http2-prior-knowledge", is_flag=True, help="Speak nothing but HTTP/2, in clear too."),
    _option("--max-redirects", type=click.IntRange(0), metavar="N", help="Follow so many redirects (5); 0: none."),
    _option("--retry", type=click.IntRange(0), metavar="N", help="Try again so often what failed for a moment (0)."),
)
_call_timeout = _section(
    "Connection",
    _option(
        "--timeout",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="Give up after so long, whatever happens; 0: never. Without it: after 30 seconds of silence.",
    ),
)
_transfer_timeout = _section(
    "Connection",
    _option(
        "--timeout",
        type=click.FloatRange(0),
        metavar="SECONDS",
        default=inputs.PATIENCE,
        help="Give up after so long a silence (30); 0: never.",
    ),
)
_answer = _section(
    "Output",
    _option("-o", "--output", **_FILE, help="Write the content to a file, which appears when it is complete."),
    _option("--raw", is_flag=True, help="Write the content as it was received, even to a terminal."),
    _option(
        "--fail/--no-fail",
        default=True,
        help="Whether a status of 400 or more is a failure (exit codes 4 and 5, nothing written to -o). It is.",
    ),
)
_display = _section(
    "Output",
    _option("-v", "--verbose", is_flag=True, help="Show what is sent and received, without its secrets, on stderr."),
    _option("--timings", is_flag=True, help="Show how long each phase took, on stderr."),
    _option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colours, and JSON indented: on a terminal (auto), always, never.",
    ),
    _option("--debug", is_flag=True, help="Show the traceback of an error."),
)


# Commands


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"{PROGRAM} {__version__}")
        context.exit()


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXAMPLES + "\n".join(f"  {code:<5}{meaning}" for code, meaning in MEANINGS.items()),
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="The version.")
def _main() -> None:
    """Sends HTTP requests, downloads and uploads files.

    'atomhttp get --help' says what a command takes.
    """


# Left to `_Command`, which has more to say of it.
_REST: Final = {"allow_extra_args": True}
_PURPOSES: Final = {
    "get": "GET: fetch something, and show it.",
    "post": "POST: send something to be dealt with.",
    "put": "PUT: put something in the place of what is there.",
    "patch": "PATCH: change a part of something.",
    "delete": "DELETE: remove something.",
    "head": "HEAD: what GET would answer, without its content.",
    "options": "OPTIONS: what can be done here.",
}


def _add_verb(method: str, purpose: str) -> None:
    @_main.command(method, cls=_Command, context_settings=_REST, help=purpose, short_help=purpose)
    @click.argument("url")
    @_request
    @_content
    @_connection
    @_call_timeout
    @_answer
    @_display
    @click.pass_context
    def verb(context: click.Context, /, **given: Any) -> Callable[[], Job]:
        return partial(_build, _build_call, context.command_path, {**given, "method": method.upper()})


for _method, _purpose in _PURPOSES.items():
    _add_verb(_method, _purpose)


@_main.command("download", cls=_Command, short_help="Store what is at a URL in a file; go on where it broke off.")
@click.argument("words", nargs=-1, required=True, metavar="URL... [FILE]")
@_section(
    "Files",
    _option("-O", "--directory", metavar="DIR", help="Store the files there, by the names in their URLs."),
    _option("-j", "--jobs", type=click.IntRange(1, 64), default=4, metavar="N", help="So many at once (4)."),
    _option("--sha256", metavar="HEX", help="What the file's SHA-256 has to be; else nothing is stored."),
    _option("--resume/--no-resume", default=True, help="Whether to go on with what is there of an earlier download."),
    _option("--overwrite", is_flag=True, help="Replace files that are there, also where no FILE was given."),
)
@_request
@_connection
@_transfer_timeout
@_display
@click.pass_context
def _download(context: click.Context, /, **given: Any) -> Callable[[], Job]:
    """Store what is at a URL in FILE, or in a file of the name that the URL ends in.

    A file appears under its name when it is complete. When a download breaks off, or Ctrl+C ends it, the same command
    goes on where it stopped, if the server can tell that nothing has changed since; otherwise it begins anew.

    \b
      atomhttp download https://example.com/image.iso
      atomhttp download https://example.com/image.iso today.iso --sha256 9f86d0…
      atomhttp download -O dir https://example.com/a.gz https://example.com/b.gz
    """
    return partial(_build, _build_download, context.command_path, given)


@_main.command("upload", cls=_Command, context_settings=_REST, short_help="Send a file.")
@click.argument("file")
@click.argument("url")
@_section(
    "File",
    _option("--method", metavar="METHOD", help="PUT if not given; POST with --field."),
    _option("--field", metavar="NAME", help="Send a form, the file in the field of that name."),
)
@_request
@_connection
@_transfer_timeout
@_answer
@_display
@click.pass_context
def _upload(context: click.Context, /, **given: Any) -> Callable[[], Job]:
    """Send FILE to URL.

    \b
      atomhttp upload backup.tar https://storage.example.com/backup.tar
      atomhttp upload cat.jpg https://example.com/photos --field photo
    """
    return partial(_build, _build_upload, context.command_path, given)


# From words to jobs


def _build(build: Callable[[dict[str, Any]], Job], command: str, given: dict[str, Any]) -> Job:
    try:
        return build(given)
    except UsageError as error:
        error.command = command
        raise


def _build_call(given: dict[str, Any]) -> Job:
    options = _common_options(given)
    content = inputs.read_content(given["data"], given["json"], given["form"])
    # What is given by name is nearer than what --json says of itself.
    headers = content.pop("headers", {})
    if not any(name.lower() == "content-type" for name in options["headers"]):
        options["headers"] |= headers
    if given["method"] == "HEAD" and given["output"]:
        _fail("-o: the answer to HEAD has no content to write")
    limit = given["timeout"]
    options["timeout"] = _silence(inputs.PATIENCE) if limit is None else Timeout(limit or None)
    if given["raw"]:
        _ask_for_plain(options)
    return Call(
        method=given["method"],
        url=_url(given["url"], given),
        options=options | content,
        output=_output(given),
        fail=given["fail"],
        http2=_version(given),
        display=_build_display(given, raw=given["raw"]),
    )


def _build_download(given: dict[str, Any]) -> Job:
    if given["directory"] == "":
        _fail("-O: expected the name of a directory, got an empty text")
    urls, file = _split_words(given["words"], given["directory"] is not None)
    checksum = given["sha256"]
    if checksum is not None:
        if len(urls) > 1:
            _fail("--sha256: expected one URL with it, got several")
        if re.fullmatch(r"\s*[0-9A-Fa-f]{64}\s*", checksum) is None:
            _fail(f"--sha256: expected 64 hexadecimal digits, got {checksum[:80]!r}")
    return Download(
        urls=tuple(_url(url, given) for url in urls),
        file=Path(file) if file is not None else None,
        directory=Path(given["directory"] or "."),
        # A plain number: up to the head, and then for each pause. After one of those --retry goes on.
        options=_common_options(given) | {"timeout": given["timeout"] or None},
        resume=given["resume"],
        overwrite=given["overwrite"],
        jobs=given["jobs"],
        checksum=f"sha256:{checksum.strip()}" if checksum is not None else None,
        http2=_version(given),
        display=_build_display(given),
    )


def _split_words(words: Sequence[str], has_directory: bool) -> tuple[Sequence[str], str | None]:
    """The URLs, and the FILE if there is one: a second word that is no URL."""
    if has_directory or len(words) == 1:
        return words, None
    if len(words) == 2 and "://" not in words[1]:
        if not words[1]:
            _fail("FILE: expected the name of a file, got an empty text")
        if words[1] == "-":
            _fail("FILE: expected the name of a file, got '-'; 'atomhttp get URL' writes to standard output")
        return words[:1], words[1]
    for word in words[1:]:
        if "://" not in word:
            _fail(f"FILE: expected one URL with it, or URLs that begin with https://, got {word!r} behind several; "
                  "-O DIR takes any number of URLs")  # fmt: skip
    return words, None


def _build_upload(given: dict[str, Any]) -> Job:
    if given["file"] == "-":
        _fail("FILE: expected the name of a file, got '-'; 'atomhttp put URL -d -' sends standard input")
    if given["field"] == "":
        _fail("--field: expected the name of a field, got an empty text")
    options = _common_options(given) | {"timeout": _silence(given["timeout"])}
    if given["raw"]:
        _ask_for_plain(options)
    return Upload(
        file=inputs.check_file(given["file"]),
        url=_url(given["url"], given),
        method=given["method"],
        field=given["field"],
        options=options,
        output=_output(given),
        fail=given["fail"],
        http2=_version(given),
        display=_build_display(given, raw=given["raw"]),
    )


def _common_options(given: dict[str, Any]) -> dict[str, Any]:
    """The client's options for what every command takes."""
    options: dict[str, Any] = {
        "headers": inputs.read_headers(given["headers"]),
        **inputs.read_tls(given["insecure"], given["cacert"], given["cert"], given["key"]),
    }
    if given["query"]:
        options["params"] = inputs.read_query(given["query"])
    named = {"proxy": "proxy", "unix_socket": "socketPath", "max_redirects": "maxRedirects", "retry": "retryConfig"}
    options.update((option, given[name]) for name, option in named.items() if given[name] is not None)
    auth = inputs.read_auth(given["auth"], given["digest"], given["bearer"])
    if auth is not None:
        options["auth"] = auth
    return options


def _version(given: dict[str, Any]) -> Http2:
    """The client's option `http2`."""
    return "only" if given["http2_prior_knowledge"] else bool(given["http2"])


def _url(text: str, given: dict[str, Any]) -> str:
    return inputs.expand_url(text, unix_socket=given["unix_socket"] is not None)


def _output(given: dict[str, Any]) -> str | None:
    output: str | None = given["output"]
    if output == "":
        _fail("-o: expected the name of a file, got an empty text")
    return None if output is None or output == "-" else inputs.check_output(output)


def _silence(limit: float) -> Timeout:
    """So long without a byte in either direction."""
    return Timeout(connect=limit, read=limit, write=limit) if limit else Timeout()


def _ask_for_plain(options: dict[str, Any]) -> None:
    """Nothing is decoded, so nothing should be coded, unless somebody asks for it."""
    options["decompress"] = False
    if not any(name.lower() == "accept-encoding" for name in options["headers"]):
        options["headers"]["Accept-Encoding"] = "identity"


def _build_display(given: dict[str, Any], raw: bool = False) -> Display:
    return Display(given["color"], given["verbose"], given["timings"], raw, given["debug"])


def _fail(message: str) -> NoReturn:
    raise UsageError(message)
