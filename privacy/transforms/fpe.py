"""`fpe`: format-preserving encryption; a card number becomes another card number.

FF1 only. FF3 and FF3-1 are broken (Durak and Vaudenay 2017, Beyne 2021) and SP 800-38G revision 1 dropped
them; the same revision asks for a domain of at least 10^6 values, as smaller ones can be searched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.crypto.limits import MIN_DOMAIN
from airflow_veil.privacy.errors import TransformError
from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Properties, Step, Transform
from airflow_veil.privacy.transforms.family import TEXT, Family
from airflow_veil.privacy.transforms.keyed import Domain, subkey
from airflow_veil.privacy.transforms.text import decoded

if TYPE_CHECKING:
    from airflow_veil.privacy.transforms.characters import Counts, Layout

Length = TypeVar("Length", int, "Counts")

_DIGITS = "0123456789"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_ALPHABETS = {
    "digits": _DIGITS,
    "lower": _LOWER,
    "upper": _LOWER.upper(),
    "letters": _LOWER + _LOWER.upper(),
    "alphanumeric": _DIGITS + _LOWER + _LOWER.upper(),
}

_KEY = 32

# A spreadsheet takes a text that begins with one of these for a formula.
_FORMULA_STARTS = frozenset("=+-@")


def _own_alphabet(characters: str | None) -> str | None:
    if characters is None:
        return None
    if len(set(characters)) < len(characters) or len(characters) < 2:
        raise PydanticCustomError(
            "characters", "`characters` needs at least two characters, each of them once"
        )
    if not characters.isprintable() or not _FORMULA_STARTS.isdisjoint(characters):
        raise PydanticCustomError(
            "characters",
            "`characters` must be printable and without = + - @, which begin a spreadsheet formula",
        )
    return characters


class Fpe(Transform):
    """Encrypt the characters of an alphabet to others of it; all that is not of the alphabet stays in place.

    Input: text. Output: text of the same form. Nulls: kept; a value with too few characters to encrypt is
    an error. Guarantee: without the key a value cannot be told from any other of the same form (separators,
    kept characters, length) by one who sees only released values; equal values of a domain give equal
    results, so frequencies show. What is not of the alphabet is released as it is: letters in a column of
    digits, too; name `separators` to be sure. The cipher does not authenticate and its result does not say
    its key version. Source: FF1 with AES-256, SP 800-38G, and revision 1 for the least domain of 10^6; Luhn
    by ISO/IEC 7812-1. The tweak is the key domain, one for the whole column.
    """

    word: ClassVar[str] = "fpe"
    step: ClassVar[Step] = Step.TOKENIZE

    alphabet: Literal["digits", "lower", "upper", "letters", "alphanumeric"] = "digits"
    """The characters to encrypt: 0-9, a-z, A-Z, both of these, or all three."""
    characters: Annotated[str | None, AfterValidator(_own_alphabet)] = None
    """An own alphabet in place of a named one, each character once; their order is part of the treatment."""
    keep_first: Annotated[int, Field(ge=0)] = 0
    """How many characters of the alphabet stay at the beginning."""
    keep_last: Annotated[int, Field(ge=0)] = 0
    """How many characters of the alphabet stay at the end."""
    luhn: bool = False
    """Whether values carry a Luhn check, as card numbers do: they must satisfy it, and so do the results."""
    length: Annotated[int, Field(ge=1, le=1024)] | None = None
    """How many characters of the alphabet every value has; others are refused. `veil check` can then count
    the domain."""
    separators: str | None = None
    """What may stand between the characters of the alphabet, such as " -"; anything else is refused. If it is
    left out, anything may."""
    domain: Domain | None = None
    """The key domain, for columns that are to be joined; the column has its own if left out."""

    @model_validator(mode="after")
    def _one_alphabet(self) -> Fpe:
        if self.characters is not None and "alphabet" in self.model_fields_set:
            raise PydanticCustomError("alphabet", "name either an `alphabet` or own `characters`")
        if self.luhn and self.symbols != _DIGITS:
            raise PydanticCustomError("luhn", "`luhn` is for `alphabet: digits`")
        return self

    @model_validator(mode="after")
    def _large_domain(self) -> Fpe:
        size = self.domain_size()
        if size is not None and size < MIN_DOMAIN:
            raise PydanticCustomError(
                "domain_size",
                "{encrypted} of {length} characters are encrypted: a domain of {size} values, which can be "
                "searched; at least 1000000 are needed, so keep fewer characters or use `token`",
                {"length": self.length, "encrypted": max(0, self._encrypted(self.length or 0)), "size": size},
            )
        return self

    @property
    def symbols(self) -> str:
        """The alphabet, in order."""
        return self.characters if self.characters is not None else _ALPHABETS[self.alphabet]

    def domain_size(self) -> int | None:
        """How many values one can become; None if `length` is not declared, so that the values decide."""
        if self.length is None:
            return None
        encrypted = self._encrypted(self.length)
        return len(self.symbols) ** encrypted if encrypted > 0 else 0

    def _encrypted(self, length: Length) -> Length:
        """How many of the characters of values of a length are encrypted; the free digit of Luhn is not."""
        return length - self.keep_first - self.keep_last - self.luhn

    @property
    def properties(self) -> Properties:
        return Properties(deterministic=True, reversible=True, unique=True, hides_length=False, masks=True)

    @property
    def takes(self) -> frozenset[Family]:
        return TEXT

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def key_domain(self, *, column: str, subject: str) -> str:
        return self.domain or column

    def prepare(self, binding: Binding) -> Kernel:
        from airflow_veil.privacy.crypto import ff1

        cipher = self._cipher(binding, ff1.encrypt)
        return lambda column, _inputs: self._apply(column, cipher, binding.where)

    def reverse(self, values: pa.Array, binding: Binding) -> pa.StringArray:
        """The values that were encrypted with the key version of the binding.

        Another version, domain or parameters give other values and no error: FF1 does not authenticate.

        Raises:
            TransformError: Some values have another form than this treatment releases.
            KeyRingError: There is no key ring, or the version is destroyed.
        """
        from airflow_veil.privacy.crypto import ff1

        return self._apply(values, self._cipher(binding, ff1.decrypt), binding.where)

    def _cipher(self, binding: Binding, direction: Callable[..., pa.Array]) -> Callable[[pa.Array], pa.Array]:
        key = subkey(binding, "fpe", length=_KEY)
        tweak = (binding.domain or "").encode()
        return lambda picked: direction(picked, key=key, tweak=tweak, alphabet=self.symbols)

    def _apply(self, column: pa.Array, cipher: Callable[[pa.Array], pa.Array], where: str) -> pa.StringArray:
        from airflow_veil.privacy.transforms.characters import Layout

        values = pc.cast(decoded(column), pa.string())
        self._require_separators(values, where)
        layout = Layout.of(values, self.symbols)
        self._require_lengths(layout, where)
        if self.luhn:
            return self._keeping_luhn(layout, cipher, where).stored()
        return layout.changed(layout.between(self.keep_first, self.keep_last), cipher).stored()

    def _keeping_luhn(self, layout: Layout, cipher: Callable[[pa.Array], pa.Array], where: str) -> Layout:
        """Encrypt all digits but one, then set that one so that the check holds.

        For each choice of the others exactly one digit makes the check hold, so this maps the values that
        satisfy it one to one onto themselves.
        """
        from airflow_veil.privacy.transforms import luhn

        wrong = luhn.failing(layout)
        if wrong:
            msg = f"{wrong} of {layout.rows} values do not satisfy the Luhn check"
            raise TransformError(
                msg,
                where=where,
                expected="numbers with a valid check digit",
                fix="leave `luhn` out, or mend the column upstream",
            )
        free = self.keep_last + 1
        return luhn.completed(layout.changed(layout.between(self.keep_first, free), cipher), free)

    def _require_separators(self, values: pa.StringArray, where: str) -> None:
        if self.separators is None:
            return
        strange = (
            pc.sum(pc.match_substring_regex(values, _outside(self.symbols + self.separators))).as_py() or 0
        )
        if strange:
            msg = (
                f"{strange} of {len(values)} values hold characters that are neither encrypted nor separators"
            )
            raise TransformError(
                msg,
                where=where,
                expected="characters of the alphabet and of `separators`",
                fix="use an alphabet that has them, or add them to `separators` if they may be released",
            )

    def _require_lengths(self, layout: Layout, where: str) -> None:
        other = layout.count_where(layout.counts != self.length) if self.length is not None else 0
        if other:
            msg = f"{other} of {layout.rows} values do not have {self.length} characters of the alphabet"
            raise TransformError(
                msg,
                where=where,
                expected=f"`length: {self.length}`",
                fix="leave `length` out if lengths differ, or mend the column upstream",
            )
        least = _least(len(self.symbols))
        short = layout.count_where(self._encrypted(layout.counts) < least)
        if short:
            msg = f"{short} of {layout.rows} values have fewer than {least} characters to encrypt"
            raise TransformError(
                msg,
                where=where,
                expected="at least 10^6 possible values (SP 800-38G revision 1)",
                fix="keep fewer characters, or use `token`",
            )


def _least(radix: int) -> int:
    """The fewest characters that have a domain of 10^6."""
    count = 1
    while radix**count < MIN_DOMAIN:
        count += 1
    return count


def _outside(allowed: str) -> str:
    """A pattern that finds any other character."""
    return "[^" + "".join(f"\\x{{{ord(character):X}}}" for character in allowed) + "]"
