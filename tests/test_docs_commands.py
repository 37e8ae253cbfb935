"""Every `lbmaster ...` and `lbminion ...` in the documents is a command that exists, with options that it has.

The command lines are parsed by click as the programs do it, and not run.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

import lbminion.cli
from lbmaster.cli.main import main as lbmaster_command

from .documents import PAGES, blocks, code_spans

PROGRAMS: dict[str, click.Group] = {"lbmaster": lbmaster_command, "lbminion": lbminion.cli.main}
SHELL = ("", "sh", "console")
"""The info of blocks that hold commands; what a command prints stands in `text` blocks."""
BEFORE = ("sudo", "$")


def commands(text: str) -> Iterator[tuple[str, ...]]:
    """The words of each of our commands in a piece of shell, without redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            continue  # a picture, or a sentence with an apostrophe
        yield from (command for command in split(words) if command and command[0] in PROGRAMS)


def split(words: list[str]) -> Iterator[tuple[str, ...]]:
    """Part words at the shell's operators; what follows a redirection is not the command's."""
    command: list[str] = []
    redirected = False
    for word in [*words, ";"]:
        if set(word) <= set("();<>|&"):
            if not redirected:
                yield bare(command)
            redirected = set(word) <= set("<>")
            command = []
        else:
            command.append(word)


def bare(command: list[str]) -> tuple[str, ...]:
    while command and (command[0] in BEFORE or "=" in command[0]):
        command = command[1:]
    head = command[0].rpartition("/")[2] if command else ""
    return (head, *command[1:])


def parse(words: tuple[str, ...], *, mention: bool) -> None:
    """Parse, and do not run; a mention in a sentence may leave out what is required. Raises `click.UsageError`."""
    command: click.Command = PROGRAMS[words[0]]
    context, rest = click.Context(command, info_name=words[0]), list(words[1:])
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(rest)
        if not rest:
            return
        name, *rest = rest
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        command.make_context(context.info_name, rest, parent=context.parent)
    except click.MissingParameter:
        if not mention:
            raise
    except click.exceptions.Exit:
        pass  # --help, --version


IN_BLOCKS = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for block in blocks(page)
    if block.info in SHELL
    for words in commands(block.text)
]
IN_SENTENCES = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for span in code_spans(page)
    for words in commands(span)
]


@pytest.mark.parametrize("words", IN_BLOCKS)
def test_a_command_to_be_typed_is_complete_and_right(words: tuple[str, ...]) -> None:
    """Command, options and arguments."""
    parse(words, mention=False)


@pytest.mark.parametrize("words", IN_SENTENCES)
def test_a_command_that_is_mentioned_exists(words: tuple[str, ...]) -> None:
    """With the options that the sentence gives it."""
    parse(words, mention=True)


@pytest.mark.parametrize(
    "line",
    [
        "lbmaster psuh cluster.yaml",
        "lbmaster push",
        "sudo lbmaster check cluster.yaml && lbmaster plan --jsno cluster.yaml",
        "lbminion join --master 10.0.0.1",
        'T="$(lbmaster keys token --tll 1h)"; echo',
        "lbmaster keys accpet netology1 > file",
    ],
)
def test_a_wrong_command_would_be_found(line: str) -> None:
    """Unknown commands and options, and what is missing."""
    *right, wrong = commands(line.replace('"', ""))
    for words in right:
        parse(words, mention=False)
    with pytest.raises(click.UsageError):
        parse(wrong, mention=False)


def test_the_documents_have_commands() -> None:
    """The extraction finds them at all, also behind pipes and operators."""
    assert {"lbmaster", "lbminion"} == {param.values[0][0] for param in IN_BLOCKS}  # type: ignore[index]
    assert len(IN_BLOCKS) > 20
