"""`token`: a keyed name for a value, equal wherever the value is equal within one domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.errors import KeyRingError, TamperedError, TransformError
from airflow_veil.privacy.lazy import np, pa, pc
from airflow_veil.privacy.transforms.base import Binding, Kernel, Keys, Properties, Step, Transform
from airflow_veil.privacy.transforms.canonical import (
    canonical,
    joined,
    once_per_distinct,
)
from airflow_veil.privacy.transforms.family import SPELLED, Family
from airflow_veil.privacy.transforms.keyed import Domain, subkey, version_of
from airflow_veil.privacy.transforms.text import is_text

# Both kinds have keys of their own.
_SIV_PURPOSE, _HMAC_PURPOSE = "token/siv", "token/hmac"

_SIV_KEY, _HMAC_KEY = 64, 32
_HMAC_BYTES = 16

# The letter that a token begins with says what it is; a letter cannot begin a spreadsheet formula.
_REVERSIBLE, _PADDED, _ONE_WAY = "t", "p", "h"

# A SIV alone has 22 characters of base64url.
_TOKEN = rf"^[{_REVERSIBLE}{_PADDED}][1-9][0-9]{{0,8}}_[A-Za-z0-9_-]{{22,}}$"
_ONE_WAY_TOKEN = rf"^{_ONE_WAY}[1-9][0-9]{{0,8}}_[A-Za-z0-9_-]{{22}}$"
_HEAD = r"^(?P<head>[a-z][0-9]+_)"


class Token(Transform):
    """Replace a value by a token: equal values of a domain get equal tokens, in all tables and every night.

    Input: any type with a canonical spelling, so that 17850 joins as an integer, a text or a whole float.
    Output: text, `t3_…` (reversible), `p3_…` (reversible, padded) or `h3_…` (one-way) for key version 3, in
    base64url. Nulls: kept. Guarantee: without the key a token tells which rows have equal values and how
    often each occurs, and nothing else of the value but, if reversible, its length. One-way tokens of two
    values collide with a chance of 2^-128. Tokens of another domain or key version cannot be linked.
    Source: AES-SIV with a 256-bit key for each half (RFC 5297) or HMAC-SHA-256 cut to 16 bytes (RFC 2104);
    padding by ISO/IEC 7816-4; base64url by RFC 4648.
    """

    word: ClassVar[str] = "token"
    step: ClassVar[Step] = Step.TOKENIZE

    domain: Domain
    """The key domain: columns of one domain, with the same parameters, can be joined; no others can."""
    reversible: bool = False
    """Whether who holds the key can have the value back."""
    pad_to: Annotated[int, Field(ge=2, le=4096)] | None = None
    """Fill reversible tokens up to a multiple of this many bytes, so that length shows in steps only."""

    @model_validator(mode="after")
    def _only_reversible_is_padded(self) -> Token:
        if self.pad_to is not None and not self.reversible:
            raise PydanticCustomError(
                "pad_to", "one-way tokens have one length; leave `pad_to` out, or add `reversible: true`"
            )
        return self

    @property
    def properties(self) -> Properties:
        return Properties(
            deterministic=True,
            reversible=self.reversible,
            unique=True,
            # Padding hides a length within a step, not the step itself.
            hides_length=not self.reversible,
            masks=True,
        )

    @property
    def takes(self) -> frozenset[Family]:
        return SPELLED

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def key_domain(self, *, column: str, subject: str) -> str:
        return self.domain

    def prepare(self, binding: Binding) -> Kernel:
        tokenize = self._reversible(binding) if self.reversible else _one_way(binding)

        def kernel_of_values(values: pa.Array) -> pa.Array:
            return tokenize(canonical(values, where=binding.where))

        return lambda column, _inputs: once_per_distinct(column, kernel_of_values)

    def _reversible(self, binding: Binding) -> Callable[[pa.StringArray], pa.StringArray]:
        from airflow_veil.privacy.crypto import siv
        from airflow_veil.privacy.transforms.padding import pad

        key, version = subkey(binding, _SIV_PURPOSE, length=_SIV_KEY), version_of(binding)
        associated = _associated(self.domain, version)
        if self.pad_to is None:
            return lambda values: siv.encrypt_to_text(
                values, key=key, associated_data=associated, prefix=f"{_REVERSIBLE}{version}_"
            )
        size = self.pad_to
        return lambda values: siv.encrypt_to_text(
            pad(values, size),
            key=key,
            associated_data=(*associated, _PADDED.encode()),
            prefix=f"{_PADDED}{version}_",
        )

    def reverse(self, values: pa.Array, binding: Binding) -> pa.StringArray:
        """The values that tokens stand for; `detokenize` says how.

        Raises:
            TransformError: The tokens are one-way.
        """
        if not self.reversible:
            raise TransformError("one-way tokens cannot be reversed", where=binding.where)
        if binding.keys is None:
            raise KeyRingError("No key ring was given", where=binding.where, fix="name one under `keys:`")
        return detokenize(values, keys=binding.keys, domain=self.domain)


def _one_way(binding: Binding) -> Callable[[pa.StringArray], pa.StringArray]:
    from airflow_veil.privacy.crypto import prf, text

    key = subkey(binding, _HMAC_PURPOSE, length=_HMAC_KEY)
    prefix = f"{_ONE_WAY}{version_of(binding)}_"

    def tokenize(values: pa.StringArray) -> pa.StringArray:
        digests = prf.hmac_sha256(values, key=key, length=_HMAC_BYTES)
        return text.encode(pc.cast(digests, pa.binary()), prefix=prefix)

    return tokenize


def _associated(domain: str, version: int) -> tuple[bytes, ...]:
    """What a reversible token is bound to, besides its key."""
    return b"airflow-veil/token", domain.encode(), str(version).encode()


def detokenize(values: pa.Array, *, keys: Keys, domain: str) -> pa.StringArray:
    """The values that reversible tokens stand for.

    Args:
        values: n tokens, as text; their key versions may differ, each token says its own.
        keys: The key ring.
        domain: The key domain that the tokens were made in.

    Returns:
        n texts in canonical spelling. Nulls stay null.

    Raises:
        TransformError: Some values are no reversible tokens.
        KeyRingError: A version is not in the key ring, or was destroyed.
        TamperedError: Some tokens were changed, or made in another domain or with another key ring.
    """
    if not is_text(values.type):
        msg = f"a column of type {values.type} holds no tokens"
        raise TransformError(msg, expected="text")
    tokens = canonical(values, where=domain)
    _require_tokens(tokens)
    heads = pc.struct_field(pc.extract_regex(tokens, _HEAD), "head")
    parts, rows = [], []
    for head in pc.unique(heads):
        chosen = (
            heads.is_null() if not head.is_valid else pc.fill_null(pc.equal(heads, head), fill_value=False)
        )
        group = tokens.filter(chosen)
        parts.append(_of_one_head(group, head.as_py(), keys, domain) if head.is_valid else group)
        rows.append(np.flatnonzero(chosen.to_numpy(zero_copy_only=False)))
    return joined(parts, rows) if parts else tokens


def _require_tokens(tokens: pa.StringArray) -> None:
    wrong = pc.sum(pc.invert(pc.match_substring_regex(tokens, _TOKEN))).as_py() or 0
    if wrong:
        one_way = pc.sum(pc.match_substring_regex(tokens, _ONE_WAY_TOKEN)).as_py()
        msg = f"{wrong} of {len(tokens)} values are no reversible tokens ({one_way} are one-way tokens)"
        raise TransformError(
            msg,
            expected="tokens as `token: {reversible: true}` makes them",
            fix="name the column that was released with reversible tokens",
        )


def _of_one_head(tokens: pa.StringArray, head: str, keys: Keys, domain: str) -> pa.StringArray:
    """Detokenize tokens of one kind and key version."""
    from airflow_veil.privacy.crypto import siv, text
    from airflow_veil.privacy.transforms.padding import unpad

    version, padded = int(head[1:-1]), head[0] == _PADDED
    key = keys.subkey(_SIV_PURPOSE, domain, version=version, length=_SIV_KEY)
    associated = (*_associated(domain, version), *((_PADDED.encode(),) if padded else ()))
    try:
        values = siv.decrypt(text.decode(tokens, prefix=head), key=key, associated_data=associated)
    except TamperedError as error:
        raise TamperedError(
            error.what,
            where=f"tokens of key version {version}",
            expected=f"tokens that were made in the domain {domain} and not changed since",
            fix="look for another domain, another key ring, or cells that were cut off",
        ) from None
    return pc.cast(unpad(values) if padded else values, pa.string())
