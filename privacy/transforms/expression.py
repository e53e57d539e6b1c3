"""The small language of `where`: comparisons of columns and constants, joined by and, or, not; text to tree.

    either    = both {"or" both}
    both      = negation {"and" negation}
    negation  = "not" negation | "(" either ")" | comparison
    comparison = operand (("==" | "!=" | "<" | "<=" | ">" | ">=") operand
                         | ["not"] "in" "[" literal {"," literal} "]"
                         | "is" ["not"] "null")
               | column                                             a column of booleans
    operand   = column | literal
    column    = name | "`" any characters "`"
    literal   = number | "'" text "'" | '"' text '"' | "true" | "false"       quotes are doubled within a text

Nothing is evaluated as code: a word is a column or one of the words above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as Words

Value = str | int | float | bool
Operator = Words["==", "!=", "<", "<=", ">", ">="]

_MOST_NESTED = 50
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE,
)
_WORDS = ("and", "or", "not", "in", "is", "null", "true", "false")
_HINTS = {
    "=": "write `==`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not` or `!=`",
    "~": "write `not`",
}


class ExpressionError(ValueError):
    """The text is no expression; the message says where and what was expected."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at character {position + 1}")


@dataclass(frozen=True, slots=True)
class Column:
    """A column, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant that the policy wrote."""

    value: Value


@dataclass(frozen=True, slots=True)
class Compare:
    """`left operator right`; null where either is null."""

    operator: Operator
    left: Column | Literal
    right: Column | Literal


@dataclass(frozen=True, slots=True)
class In:
    """`column in [values]`; null where the column is null."""

    column: Column
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """`column is null`; never null itself."""

    column: Column


@dataclass(frozen=True, slots=True)
class Not:
    """Null stays null."""

    part: Node


@dataclass(frozen=True, slots=True)
class All:
    """`and`: false if one part is, else null if one is."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """`or`: true if one part is, else null if one is."""

    parts: tuple[Node, ...]


Leaf = Column | Compare | In | IsNull
Node = Leaf | Not | All | Any


def parse(text: str) -> Node:
    """Read an expression.

    Raises:
        ExpressionError: It is none.
    """
    return _Parser(tuple(_tokens(text))).whole()


def columns(node: Node | Literal) -> Iterator[str]:
    """The columns an expression reads, in the order they stand in it, repeated where they are."""
    match node:
        case Column(name):
            yield name
        case Literal():
            return
        case Compare(_, left, right):
            yield from (*columns(left), *columns(right))
        case In(column) | IsNull(column):
            yield column.name
        case Not(part):
            yield from columns(part)
        case All(parts) | Any(parts):
            for part in parts:
                yield from columns(part)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    @property
    def shown(self) -> str:
        return f"`{self.text}`" if self.text else "the end"


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            hint = _HINTS.get(text[at])
            unclosed = " (a quote that does not close)" if text[at] in "'\"`" else ""
            msg = f"cannot read `{text[at]}`{unclosed}{f', {hint},' if hint else ''}"
            raise ExpressionError(msg, at)
        kind = str(match.lastgroup)
        word = match[kind]
        yield _Token(word if kind == "word" and word in _WORDS else kind, word, match.start(kind))
        at = match.end()
    yield _Token("end", "", end)


class _Parser:
    """Recursive descent over the tokens; a method a rule of the grammar above."""

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._either()
        if self._next.kind != "end":
            raise self._expected("`and`, `or` or the end")
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _taken(self, *texts: str) -> bool:
        """Take the next token if it is one of these words or signs."""
        found = self._next.kind in texts or (self._next.kind == "sign" and self._next.text in texts)
        self._at += found
        return found

    def _require(self, text: str) -> None:
        if not self._taken(text):
            msg = f"`{text}`"
            raise self._expected(msg)

    def _expected(self, what: str) -> ExpressionError:
        return ExpressionError(f"expected {what}, found {self._next.shown}", self._next.position)

    def _either(self) -> Node:
        parts = [self._both()]
        while self._taken("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _both(self) -> Node:
        parts = [self._negation()]
        while self._taken("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _negation(self) -> Node:
        self._depth += 1
        if self._depth > _MOST_NESTED:
            msg = f"more than {_MOST_NESTED} levels of `not` and parentheses"
            raise ExpressionError(msg, self._next.position)
        node = self._nested()
        self._depth -= 1
        return node

    def _nested(self) -> Node:
        if self._taken("not"):
            return Not(self._negation())
        if self._taken("("):
            node = self._either()
            self._require(")")
            return node
        return self._comparison()

    def _comparison(self) -> Node:
        position = self._next.position
        left = self._operand()
        if self._next.text in ("==", "!=", "<", "<=", ">", ">=") and self._next.kind == "sign":
            return self._compare(left, position)
        if not isinstance(left, Column):
            raise self._expected("a comparison")
        if self._taken("is"):
            negated = self._taken("not")
            self._require("null")
            return Not(IsNull(left)) if negated else IsNull(left)
        if self._taken("not"):
            self._require("in")
            return Not(In(left, self._list()))
        return In(left, self._list()) if self._taken("in") else left

    def _compare(self, left: Column | Literal, position: int) -> Compare:
        operator: Operator = self._take().text  # type: ignore[assignment]
        if self._next.kind == "null":
            raise ExpressionError(
                "nothing compares with null, write `is null` or `is not null`", self._next.position
            )
        right = self._operand()
        if isinstance(left, Literal) and isinstance(right, Literal):
            raise ExpressionError("neither side of the comparison is a column", position)
        return Compare(operator, left, right)

    def _operand(self) -> Column | Literal:
        if self._next.kind == "word":
            return Column(self._take().text)
        if self._next.kind == "quoted":
            return Column(self._take().text[1:-1])
        return self._literal("a column or a constant")

    def _list(self) -> tuple[Literal, ...]:
        self._require("[")
        values = [self._literal("a constant")]
        while self._taken(","):
            values.append(self._literal("a constant"))
        self._require("]")
        return tuple(values)

    def _literal(self, what: str) -> Literal:
        if self._next.kind not in ("text", "number", "true", "false"):
            raise self._expected(what)
        token = self._take()
        if token.kind == "text":
            quote = token.text[0]
            return Literal(token.text[1:-1].replace(quote * 2, quote))
        if token.kind == "number":
            return Literal(_number(token))
        return Literal(token.kind == "true")


def _number(token: _Token) -> int | float:
    if not re.fullmatch(r"[+-]?\d+", token.text):
        return float(token.text)
    if len(token.text) > len("-9223372036854775808") or not -(2**63) <= int(token.text) < 2**63:
        raise ExpressionError("a whole number that does not fit into 64 bits", token.position)
    return int(token.text)
