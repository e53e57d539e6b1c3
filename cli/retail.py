"""The retail data set of the demo: invented people from a seed, with the faults that real tables have.

Faker draws pools of a few thousand names, streets and sentences; numpy combines them. Drawing every value
with Faker would take a minute, combining takes a second. Nobody in it exists; card numbers pass Luhn but were
never issued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_veil.cli.pools import Country, Pools, draw

FIRST_ORDER: Final = np.datetime64("2024-01-01", "us")
DAYS: Final = 731
"""Orders fall in 2024 and 2025: fixed, so that a seed gives the same data in any year."""

SEGMENTS: Final = ("consumer", "corporate", "home_office", "small_business")
STATUSES: Final = ("placed", "shipped", "delivered", "returned", "cancelled")
MAIL_HOSTS: Final = ("example.com", "example.org", "example.net", "mail.example.com")
"""Hosts that RFC 2606 keeps free, so that no address is anybody's."""


@dataclass(frozen=True, slots=True)
class Retail:
    """The three tables; `orders` names customers, `order_lines` names orders.

    Attributes:
        customers: One row a customer.
        orders: About three rows a customer, some customers have none.
        order_lines: One to five rows an order.
    """

    customers: pa.Table
    orders: pa.Table
    order_lines: pa.Table

    def tables(self) -> dict[str, pa.Table]:
        """The tables by name."""
        return {"customers": self.customers, "orders": self.orders, "order_lines": self.order_lines}


def generate(customers: int, seed: int) -> Retail:
    """Make the data set; equal arguments give equal tables.

    Args:
        customers: How many customers, from 1.
        seed: Where the random numbers start, from 0.
    """
    rng = np.random.default_rng(seed)
    people = _customers(customers, rng, draw(seed))
    orders = _orders(people, rng)
    return Retail(people, orders, _order_lines(orders, rng))


def _customers(count: int, rng: np.random.Generator, pools: Pools) -> pa.Table:
    country = rng.choice(len(pools.countries), size=count, p=[c.share for c in pools.countries])
    first, last = (
        _per_country(pools, country, rng, "first_names"),
        _per_country(pools, country, rng, "last_names"),
    )
    email = _emails(first, last, rng)
    phone = _phones(pools.countries, country, rng)
    place = _per_country(pools, country, rng, "places")
    return pa.table(
        {
            "customer_id": pa.array(100_000 + np.arange(1, count + 1), pa.int64()),
            "first_name": first,
            "last_name": last,
            "email": _with_nulls(email, rng, share=0.01),
            "phone": _with_nulls(phone, rng, share=0.08),
            "card": cards(count, rng),
            "birth_date": _birth_dates(count, rng),
            "street": _streets(pools, country, rng),
            "city": pc.list_element(pc.split_pattern(place, "|"), 1),
            "postcode": pc.list_element(pc.split_pattern(place, "|"), 0),
            "country": pa.array([c.code for c in pools.countries]).take(pa.array(country)),
            "segment": _choose(SEGMENTS, rng.choice(4, size=count, p=[0.7, 0.1, 0.12, 0.08])),
            "notes": _notes(pools.sentences, rng, first=first, last=last, email=email, phone=phone),
        }
    )


def _orders(customers: pa.Table, rng: np.random.Generator) -> pa.Table:
    # A few customers buy often and many never: the shape that makes shop data hard to anonymize.
    per_customer = rng.negative_binomial(0.9, 0.9 / (0.9 + 3.0), size=customers.num_rows)
    buyer = rng.permutation(np.repeat(np.arange(customers.num_rows), per_customer))
    count = len(buyer)
    own, other = customers["card"].take(pa.array(buyer)), cards(count, rng)
    seconds = rng.integers(0, DAYS * 86_400, size=count)
    return pa.table(
        {
            "order_id": pa.array(5_000_000 + np.arange(1, count + 1), pa.int64()),
            "customer_id": customers["customer_id"].take(pa.array(buyer)),
            "ordered_at": pa.array(FIRST_ORDER + np.sort(seconds) * np.timedelta64(1, "s")),
            "status": _choose(STATUSES, rng.choice(5, size=count, p=[0.05, 0.1, 0.75, 0.06, 0.04])),
            "payment_card": pc.if_else(pa.array(rng.random(count) < 0.85), own.combine_chunks(), other),
            "ip_address": _ip_addresses(count, rng),
        }
    )


def _order_lines(orders: pa.Table, rng: np.random.Generator) -> pa.Table:
    per_order = 1 + rng.binomial(4, 0.33, size=orders.num_rows)
    order = np.repeat(np.arange(orders.num_rows), per_order)
    first_line = np.repeat(np.cumsum(per_order) - per_order, per_order)
    product = np.minimum(rng.zipf(1.3, size=len(order)), 2_000) - 1
    prices = np.round(rng.lognormal(2.5, 0.9, size=2_000), 2)
    return pa.table(
        {
            "order_id": orders["order_id"].take(pa.array(order)),
            "line": pa.array(np.arange(len(order)) - first_line + 1, pa.int32()),
            "sku": pc.binary_join_element_wise(
                "SKU", _text(digits("####", 2_000, rng)).take(pa.array(product)), "-"
            ),
            "quantity": pa.array(1 + rng.poisson(0.8, size=len(order)), pa.int32()),
            "unit_price": pa.array(prices[product]),
        }
    )


def digits(template: str, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """`count` texts of one length, as a matrix of bytes; each `#` of the template becomes a digit."""
    matrix = np.tile(np.frombuffer(template.encode(), np.uint8), (count, 1))
    places = np.flatnonzero(matrix[0] == ord("#")) if count else np.empty(0, np.intp)
    matrix[:, places] = rng.integers(ord("0"), ord("9") + 1, size=(count, len(places)), dtype=np.uint8)
    return matrix


def cards(count: int, rng: np.random.Generator) -> pa.StringArray:
    """Card numbers of 16 digits whose last is the Luhn check digit (ISO/IEC 7812-1, annex B)."""
    matrix = digits("4###############", count, rng)
    values = (matrix - ord("0")).astype(np.int16)
    doubled = values[:, 0:15:2] * 2
    total = np.where(doubled > 9, doubled - 9, doubled).sum(axis=1) + values[:, 1:15:2].sum(axis=1)
    matrix[:, 15] = ord("0") + (-total) % 10
    return _text(matrix)


def _text(matrix: NDArray[np.uint8]) -> pa.StringArray:
    """A matrix of ASCII bytes as an Arrow column, a text a row."""
    count, width = matrix.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix))
    )


def _choose(words: Sequence[str], index: NDArray[np.int64]) -> pa.Array:
    return pa.array(words).take(pa.array(index))


def _per_country(pools: Pools, country: NDArray[np.int64], rng: np.random.Generator, pool: str) -> pa.Array:
    """One text a row from the pool of the row's country."""
    sizes = np.array([len(getattr(c, pool)) for c in pools.countries])
    starts = np.cumsum(sizes) - sizes
    texts = pa.array([text for c in pools.countries for text in getattr(c, pool)])
    return texts.take(
        pa.array(starts[country] + (rng.random(len(country)) * sizes[country]).astype(np.int64))
    )


def _streets(pools: Pools, country: NDArray[np.int64], rng: np.random.Generator) -> pa.Array:
    """A street and a house number, in the country's order."""
    street = _per_country(pools, country, rng, "streets")
    number = pa.array(1 + (rng.pareto(1.2, size=len(country)) * 12).astype(np.int64) % 400).cast(pa.string())
    number_first = pa.array(np.array([c.number_first for c in pools.countries])[country])
    return pc.if_else(
        number_first,
        pc.binary_join_element_wise(number, street, " "),
        pc.binary_join_element_wise(street, number, " "),
    )


def _emails(first: pa.Array, last: pa.Array, rng: np.random.Generator) -> pa.Array:
    """Addresses made of the names, a number after a name that is already taken: no two are equal."""
    local = pc.binary_join_element_wise(_ascii(first), _ascii(last), ".")
    number = _occurrence(local)
    suffix = pc.if_else(pc.greater(number, 0), number.cast(pa.string()), "")
    host = _choose(MAIL_HOSTS, rng.integers(0, len(MAIL_HOSTS), size=len(first)))
    # A digit never ends a name, so name and number cannot run into another name's.
    return pc.binary_join_element_wise(pc.binary_join_element_wise(local, suffix, ""), host, "@")


def _ascii(names: pa.Array) -> pa.Array:
    """Names as they stand in addresses: lower case, marks and spaces off."""
    plain = pc.replace_substring(pc.utf8_lower(names), "ß", "ss")
    return pc.replace_substring_regex(pc.utf8_normalize(plain, "NFKD"), "[^a-z]", "")


def _occurrence(column: pa.Array) -> pa.Array:
    """How often each value stood in the column before."""
    codes = pc.dictionary_encode(column).indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    group = codes[order]
    first_of_group = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    rank = np.arange(len(codes)) - np.repeat(first_of_group, np.diff(np.r_[first_of_group, len(codes)]))
    result = np.empty(len(codes), np.int64)
    result[order] = rank
    return pa.array(result)


def _phones(countries: Sequence[Country], country: NDArray[np.int64], rng: np.random.Generator) -> pa.Array:
    options = [_text(digits(c.phone, len(country), rng)) for c in countries]
    return pc.choose(pa.array(country), *options)


def _birth_dates(count: int, rng: np.random.Generator) -> pa.Array:
    """Dates of birth from 1934 to 2007; most customers are between thirty and sixty."""
    days = (rng.beta(2.2, 2.0, size=count) * (date(2007, 12, 31) - date(1934, 1, 1)).days).astype(np.int64)
    return pa.array(np.datetime64("1934-01-01", "D") + days * np.timedelta64(1, "D")).cast(pa.date32())


def _ip_addresses(count: int, rng: np.random.Generator) -> pa.Array:
    octets = [rng.integers(low, high, size=count) for low, high in ((11, 127), (0, 256), (0, 256), (1, 255))]
    return pc.binary_join_element_wise(*(pa.array(octet).cast(pa.string()) for octet in octets), ".")


def _with_nulls(column: pa.Array, rng: np.random.Generator, *, share: float) -> pa.Array:
    return pc.if_else(pa.array(rng.random(len(column)) < share), pa.scalar(None, column.type), column)


def _notes(
    sentences: Sequence[str],
    rng: np.random.Generator,
    *,
    first: pa.Array,
    last: pa.Array,
    email: pa.Array,
    phone: pa.Array,
) -> pa.Array:
    """Remarks of a call centre: half the customers have none, some of the others hold what must not leave."""
    count = len(first)
    remark = _choose(sentences, rng.integers(0, len(sentences), size=count))
    name = pc.binary_join_element_wise(first, last, " ")
    written = (
        _sentence("", remark),
        _sentence(name, " called about an invoice. ", remark),
        _sentence("Send the receipt to ", email, ". ", remark),
        _sentence("Call back under ", phone, ", ask for ", first, ". ", remark),
    )
    kind = rng.choice(4, size=count, p=[0.55, 0.2, 0.15, 0.1])
    return _with_nulls(pc.choose(pa.array(kind), *written), rng, share=0.5)


def _sentence(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
