"""The text of keepalived.conf as keepalived sees it. What stands here was compared with keepalived 2.2.7."""

from __future__ import annotations

import pytest
from tests.states.importing.conftest import Shelf

from lbstates.importing.lines import Reader
from lbstates.importing.remarks import CannotImport, Notebook
from lbstates.importing.tree import Statement, build


def lines(text: str, files: dict[str, str | None] | None = None, config_id: str = "d1") -> list[str]:
    return [line.text for line in Reader(Shelf(files or {}), Notebook(), config_id).read("main.conf", text)]


def tree(text: str) -> tuple[Statement, ...]:
    return build(Reader(Shelf(), Notebook(), "d1").read("main.conf", text), Notebook())


def test_comments_end_a_line_unless_quoted_or_escaped() -> None:
    """Both # and ! begin one."""
    text = '! all of it\n# too\n  a b # c\n a "b # c" d ! e\n a b\\#c \\! d\n'

    assert lines(text) == ["a b", 'a "b # c" d', "a b#c ! d"]


def test_conditional_lines_are_for_their_config_id() -> None:
    """@ compares, @^ compares the other way round, and a condition alone is nothing."""
    text = "@d1 mine\n@d2 its\n@^d2 not d2\n@^d1 not d1\n@d1\n  @d1\tindented\n"

    assert lines(text) == ["mine", "not d2", "indented"]


def test_parameters_are_replaced_where_they_stand_not_where_they_are_defined() -> None:
    """The manual page's own example."""
    text = "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.100/32\n$SUB=10\n${BASE}.100/32\n"

    assert lines(text) == ["10.2.0.100/32", "10.2.10.100/32"]


def test_what_is_no_defined_parameter_stays() -> None:
    """A dollar in a script's arguments is no parameter."""
    assert lines("$A=1\nx $B ${C} $A $AB cost$ $\n") == ["x $B ${C} 1 $AB cost$ $"]


def test_a_condition_may_come_out_of_a_parameter() -> None:
    """As the manual page says that it may."""
    assert lines("$IF=@d1\n$IF priority 240\n$IF2=@d2\n$IF2 priority 1\n") == ["priority 240"]


def test_definitions_over_several_lines_nest() -> None:
    """A definition may define and use others; blank lines in it are nothing."""
    text = (
        "$RS= \\\n real_server 10.0.${VS}.${RS_NUM} 80 { \\\n\n weight 1 \\\n }\n"
        "$VSX= \\\nvirtual_server 10.1.${VS}.4 80 { \\\n$RS_NUM=1 \\\n$RS \\\n$RS_NUM=2 \\\n$RS \\\n}\n"
        "$VS=0\n$VSX\n$VS=1\n$VSX\n"
    )
    # keepalived ends a definition at an empty line.
    text = text.replace("\n\n", "\n")

    assert lines(text) == [
        line
        for vs in (0, 1)
        for line in (
            f"virtual_server 10.1.{vs}.4 80 {{",
            *(f for rs in (1, 2) for f in (f"real_server 10.0.{vs}.{rs} 80 {{", "weight 1", "}")),
            "}",
        )
    ]


def test_several_lines_do_not_stand_for_a_word() -> None:
    """Such a parameter is replaced at the end of a line only."""
    assert lines("$M= \\\n a \\\n b\nx $M y\nx $M\n") == ["x $M y", "x a", "b"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("~SEQ(N,3) n${N}", ["n1", "n2", "n3"]),
        ("~SEQ(N, 3, 1) n${N}", ["n3", "n2", "n1"]),
        ("~SEQ(N, 0, 5, 10) n${N}", ["n0", "n5", "n10"]),
        ("~SEQ(N, -2) n${N}", ["n-1", "n-2"]),
        ("~SEQx(N, 9, 11) n$N", ["n9", "na", "nb"]),
        ("~SEQx(N, 0x90, 0x10, 0xb0) fe80::${N}", ["fe80::90", "fe80::a0", "fe80::b0"]),
        ("~SEQ(A,1,2) ~SEQ(B,7,8) ${A}.${B}", ["1.7", "1.8", "2.7", "2.8"]),
        ("~LST(X, 7, 9) n${X}", ["n7", "n9"]),
        ("~LST({IP, IP1}, {10,1},{20,4}) ${IP}.${IP1}", ["10.1", "20.4"]),
        ("~LST({A, B}, {1,2}) ~SEQ(C,5,6) ${A}${B}${C}", ["125", "126"]),
    ],
)
def test_repetitions(written: str, expected: list[str]) -> None:
    """The manual page's examples, and the defaults that it tells of."""
    assert lines(written) == expected


@pytest.mark.parametrize(
    "written", ["~SEQ(N,1,0,3) x", "~SEQ(1,2) x", "~SEQ x", "~LST() x", "~NIX(A,1) x", "~SEQ(N,a) x"]
)
def test_a_repetition_that_cannot_be_read_is_an_error_with_its_line(written: str) -> None:
    notes = Notebook()

    assert list(Reader(Shelf(), notes, "d1").read("main.conf", f"a\n{written}\nb")) == [
        ("a", ("main.conf", 1)),
        ("b", ("main.conf", 3)),
    ]
    assert [(one.place.line, one.fate) for one in notes.remarks] == [(2, "wrong")]


def test_predefined_parameters() -> None:
    """Directory, config-id, and the two characters that begin comments."""
    assert lines("a ${_PWD}/x ${_INSTANCE} ${_HASH} ${_BANG} ${_RANDOM 4 9}\n") == ["a /etc/keepalived/x d1 # ! 4"]


def test_included_files_take_the_place_of_the_line() -> None:
    """Also with a wildcard, a condition or a parameter before the name, in all variants."""
    files: dict[str, str | None] = {"b1.conf": "one\n", "b2.conf": "$P=9\ntwo\n", "c": "three $P"}

    assert lines("a\ninclude b*.conf\n@d1 includer c\n@d2 include c\n$F=c\nincludea $F\nz", files) == [
        *("a", "one", "two", "three 9", "three 9", "z")
    ]


def test_lines_of_included_files_know_where_they_stand() -> None:
    """Remarks name the file that has to be changed."""
    found = list(Reader(Shelf({"b": "\nx\n"}), Notebook(), "d1").read("main.conf", "include b\ny"))

    assert [(line.text, str(line.place)) for line in found] == [("x", "b:2"), ("y", "main.conf:2")]


def test_a_missing_include_is_a_warning_and_an_unreadable_one_an_error() -> None:
    """keepalived goes on without the first; of the second nobody knows what is lost."""
    notes = Notebook()

    assert not list(Reader(Shelf({"b": None}), notes, "d1").read("main.conf", "include nix/*.conf\ninclude b\n"))
    assert [one.describe() for one in notes.remarks] == [
        "main.conf:1: warning: include: no file matches nix/*.conf; check the path, seen from this file",
        "main.conf:2: error: include: b cannot be included: Permission denied; give it, or strike the line",
    ]


@pytest.mark.parametrize(
    ("text", "files", "wrong"),
    [
        ("include a", {"a": "include b", "b": "include a"}, "files include each other: a -> b -> a"),
        ("include a0", {f"a{n}": f"include a{n + 1}" for n in range(60)}, "nested 40 deep"),
        ("$A=x$A\n$A", {}, "main.conf:2: replacing parameters in this line never ends"),
        ("$A=" + "x" * 99 + "${A}\n${A}", {}, "the line has more than 16384 characters"),
        ("$M= \\\n a \\\n $M\n$M", {}, "main.conf:4: parameters are nested more than 40 deep"),
        ("~SEQ(A,1,999) ~SEQ(B,1,999) x", {}, "there are more than 200000 lines"),
        ("~SEQ(A,999999999999999) x", {}, "there are more than 200000 lines"),
        ("{" * 100, {}, "blocks are nested more than 32 deep"),
    ],
)
def test_what_never_ends_or_grows_without_bound_is_refused(text: str, files: dict[str, str | None], wrong: str) -> None:
    """Each in bounded time and memory."""
    with pytest.raises(CannotImport) as caught:
        build(Reader(Shelf(files), Notebook(), "d1").read("main.conf", text), Notebook())
    assert wrong in str(caught.value)


def test_braces_may_stand_anywhere() -> None:
    """On the line, on a line of their own, several on one line; quoted ones are text."""
    text = 'a b { c 1\nd { e }\n} f\n{\ng "{x}" }'

    assert [one.text() for one in tree(text)] == ["a b { c 1; d { e } }", "f { g {x} }"]


def test_words_are_split_as_the_manual_page_says() -> None:
    """Quotes hold together and vanish; a backslash escapes inside of them."""
    text = 'abcd" efg h jkl "mnop \'x y\' "a\\"b" \'\'\n'

    assert tree(text)[0].words == ("abcd efg h jkl mnop", "x y", 'a"b', "")


def test_unbalanced_braces_are_warnings_with_their_lines() -> None:
    """The rest is read all the same."""
    notes = Notebook()
    text = "a { b }\n}\n{ x }\nc { d\n"

    found = build(Reader(Shelf(), Notebook(), "d1").read("m", text), notes)

    assert [one.text() for one in found] == ["a { b }", "c { d }"]
    assert [(one.place.line, one.keyword, one.fate) for one in notes.remarks] == [
        (2, "}", "dropped"),
        (3, "{", "dropped"),
        (4, "c", "dropped"),
    ]


def test_old_and_foreign_line_ends_are_line_ends() -> None:
    assert lines("a\r\nb\rc\n") == ["a", "b", "c"]
