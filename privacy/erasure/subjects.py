"""The people to erase: all values that they are known by, and whose request each belongs to.

A domain is a `data_set.column`; its values are spelled canonically, as keyed treatments spell them, so that a number is
the same person in a table of integers and in one of texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Owners = NDArray[np.int32]
"""For each of some values or rows the number of the request that it belongs to; -1 for none."""


@dataclass(frozen=True)
class Known:
    """The values of one domain, each once.

    Attributes:
        texts: The values, spelled canonically; no nulls.
        owners: The request that each belongs to.
    """

    texts: pa.StringArray
    owners: Owners

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"Known({len(self)} values)"


_NOBODY = Known(pa.array([], pa.string()), np.zeros(0, np.int32))


@dataclass(frozen=True)
class Subjects:
    """All values that the people of a batch of requests are known by; a value, so `with_` gives a new one.

    Attributes:
        domains: Domain to its values.
    """

    domains: Mapping[str, Known] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, domain: str) -> Known:
        """The values of a domain; none where nothing is known."""
        return self.domains.get(domain, _NOBODY)

    @property
    def values(self) -> int:
        """How many values there are in all domains."""
        return sum(map(len, self.domains.values()))

    def with_(self, domain: str, texts: pa.StringArray, owners: Owners) -> Subjects:
        """With more values of a domain; a value that is there keeps the request that it belongs to."""
        before = self.of(domain)
        joined = pa.concat_arrays([before.texts, texts.cast(pa.string())])
        numbers = np.concatenate([before.owners, owners.astype(np.int32)])
        keep = np.asarray(pc.is_valid(joined))
        joined, numbers = joined.filter(pa.array(keep)), numbers[keep]
        encoded = joined.dictionary_encode()
        # The first place of each value: codes are given in order of appearance.
        _, first = np.unique(encoded.indices.to_numpy(zero_copy_only=False), return_index=True)
        known = Known(encoded.dictionary, numbers[first])
        return Subjects(MappingProxyType({**self.domains, domain: known}))

    def without(self, requests: Iterable[int]) -> Subjects:
        """Without the values of some requests."""
        gone = list(requests)
        if not gone:
            return self
        kept = {}
        for domain, known in self.domains.items():
            stays = ~np.isin(known.owners, gone)
            kept[domain] = Known(known.texts.filter(pa.array(stays)), known.owners[stays])
        return Subjects(MappingProxyType(kept))

    def less(self, domain: str, texts: pa.StringArray) -> Subjects:
        """Without some values of a domain."""
        known = self.of(domain)
        stays = pc.invert(pc.is_in(known.texts, value_set=texts))
        kept = Known(known.texts.filter(stays), known.owners[np.asarray(stays)])
        return Subjects(MappingProxyType({**self.domains, domain: kept}))

    def of_request(self, request: int) -> dict[str, list[str]]:
        """The values of one request, by domain."""
        owned = {
            domain: known.texts.filter(pa.array(known.owners == request)).to_pylist()
            for domain, known in self.domains.items()
        }
        return {domain: texts for domain, texts in owned.items() if texts}

    def __repr__(self) -> str:
        return f"Subjects({self.values} values in {len(self.domains)} domains)"

    def to_bytes(self) -> bytes:
        """The whole, to be sealed: an Arrow stream of domain, value and owner."""
        names = [name for name, known in self.domains.items() for _ in range(len(known))]
        texts = [known.texts for known in self.domains.values()]
        owners = [known.owners for known in self.domains.values()]
        table = pa.table(
            {
                "domain": pa.array(names, pa.string()).dictionary_encode(),
                "value": pa.concat_arrays(texts) if texts else pa.array([], pa.string()),
                "owner": pa.array(np.concatenate(owners) if owners else [], pa.int32()),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        content: bytes = sink.getvalue().to_pybytes()
        return content

    @classmethod
    def from_bytes(cls, content: bytes) -> Subjects:
        """What `to_bytes` gave."""
        with pa.ipc.open_stream(content) as stream:
            table = stream.read_all().combine_chunks()
        found = cls()
        for domain in dict.fromkeys(table.column("domain").cast(pa.string()).to_pylist()):
            part = table.filter(pc.equal(table.column("domain").cast(pa.string()), domain)).combine_chunks()
            owners = part.column("owner").to_numpy().astype(np.int32)
            found = found.with_(domain, _one(part.column("value")), owners)
        return found


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def joined(parts: Iterable[tuple[pa.StringArray, Owners]]) -> tuple[pa.StringArray, Owners]:
    """Values and owners that were found in parts, as one."""
    found = list(parts)
    if not found:
        return _NOBODY.texts, _NOBODY.owners
    return pa.concat_arrays([texts for texts, _ in found]), np.concatenate([owners for _, owners in found])
