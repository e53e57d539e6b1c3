"""IP addresses cut to their networks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from airflow_veil.privacy.lazy import pa, pc
from airflow_veil.privacy.transforms.base import Binding
from airflow_veil.privacy.transforms.family import TEXT, Family
from airflow_veil.privacy.transforms.form import Coarsen
from airflow_veil.privacy.transforms.labels import labelled
from airflow_veil.privacy.transforms.text import as_text

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = "^" + r"\.".join(f"(?P<o{place}>{_OCTET})" for place in range(4)) + "$"
_V4_BITS = 32
_V6_BITS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Addresses as their networks, `203.0.113.0/24` and `2001:db8::/48`; either kind in the same column.

    Attributes:
        v4: Bits that stay of an IPv4 address.
        v6: Bits that stay of an IPv6 address.
    """

    v4: int
    v6: int

    masks = True
    hides_length = False
    covers = "IPv4 or IPv6 addresses"
    takes = TEXT
    settles: frozenset[Family] = frozenset()

    def output_type(self, source: pa.DataType) -> pa.DataType:
        return pa.string()

    def prepare(self, binding: Binding) -> Coarsen:
        def coarsen(column: pa.Array) -> pa.Array:
            texts = as_text(column).cast(pa.string())
            return pc.coalesce(self._v4(texts), self._v6(texts))

        return coarsen

    def _v4(self, texts: pa.Array) -> pa.Array:
        """The networks of IPv4 addresses (RFC 4632 notation); null for all else."""
        octets = pc.extract_regex(texts, _V4)
        number = pa.scalar(0, pa.int64())
        for place in range(4):
            number = pc.add(pc.multiply(number, 256), pc.struct_field(octets, f"o{place}").cast(pa.int64()))
        kept = (1 << _V4_BITS) - (1 << (_V4_BITS - self.v4))
        networks = pc.bit_wise_and(number, kept)
        return labelled(networks, lambda network: f"{_dotted(network)}/{self.v4}")

    def _v6(self, texts: pa.Array) -> pa.Array:
        """The networks of IPv6 addresses; null for all else.

        An IPv6 address has too many spellings (RFC 4291 section 2.2) for a pattern, so each distinct one is
        read by the standard library.
        """
        coded = pc.if_else(
            pc.match_substring(texts, ":"), texts, pa.scalar(None, pa.string())
        ).dictionary_encode()
        return pa.array(map(self._network, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)

    def _network(self, text: str) -> str | None:
        try:
            address = int(ipaddress.IPv6Address(text))
        except ValueError:
            return None
        kept = address >> (_V6_BITS - self.v6) << (_V6_BITS - self.v6)
        return f"{ipaddress.IPv6Address(kept)}/{self.v6}"


def _dotted(address: int) -> str:
    """An IPv4 address in dotted decimals."""
    return ".".join(map(str, address.to_bytes(4, "big")))
