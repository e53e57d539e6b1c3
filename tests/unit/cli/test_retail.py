"""The retail data set of the demo."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from airflow_veil.cli import retail

CUSTOMERS = 3_000


@pytest.fixture(scope="module")
def made() -> retail.Retail:
    return retail.generate(CUSTOMERS, seed=7)


def luhn_sum(card: str) -> int:
    """The Luhn sum of a card number, written the plain way."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(card)]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled)


class TestGenerate:
    def test_same_seed_same_people(self, made: retail.Retail) -> None:
        """Equal arguments give equal tables."""
        again = retail.generate(CUSTOMERS, seed=7)

        assert made.tables().keys() == again.tables().keys()
        assert all(table.equals(again.tables()[name]) for name, table in made.tables().items())

    def test_other_seed_other_people(self, made: retail.Retail) -> None:
        """Another seed gives other names, addresses and cards."""
        other = retail.generate(CUSTOMERS, seed=8).customers

        assert not any(
            made.customers[name].equals(other[name]) for name in ("first_name", "email", "card", "street")
        )

    @pytest.mark.parametrize("customers", [1, 2])
    def test_smallest(self, customers: int) -> None:
        """One customer is enough; there may be no order then."""
        tables = retail.generate(customers, seed=1)

        assert tables.customers.num_rows == customers
        assert tables.order_lines.num_rows >= tables.orders.num_rows

    def test_about_three_orders_a_customer(self, made: retail.Retail) -> None:
        """The tables have the proportions of a shop: three orders a customer, two to three lines an order."""
        assert made.orders.num_rows == pytest.approx(3 * CUSTOMERS, rel=0.1)
        assert made.order_lines.num_rows == pytest.approx(2.3 * made.orders.num_rows, rel=0.1)


class TestCustomers:
    def test_emails_are_unique(self, made: retail.Retail) -> None:
        """No two customers share an address, though many share a name."""
        emails = made.customers["email"].drop_null()
        names = pa.table({"first": made.customers["first_name"], "last": made.customers["last_name"]})

        assert pc.count_distinct(emails).as_py() == len(emails)
        assert names.group_by(["first", "last"]).aggregate([]).num_rows < CUSTOMERS

    def test_emails_are_nobodys(self, made: retail.Retail) -> None:
        """Addresses are plain ASCII and on hosts kept free by RFC 2606."""
        pattern = r"^[a-z]+\.[a-z]+[0-9]*@(mail\.)?example\.(com|org|net)$"

        assert pc.all(pc.match_substring_regex(made.customers["email"], pattern)).as_py()

    def test_cards_pass_luhn(self, made: retail.Retail) -> None:
        """Each card has sixteen digits, the last one being the check digit, and belongs to one customer."""
        cards = made.customers["card"].to_pylist()

        assert all(len(card) == 16 and luhn_sum(card) % 10 == 0 for card in cards)
        assert len(set(cards)) == CUSTOMERS

    def test_notes_hold_the_customers_own_data(self, made: retail.Retail) -> None:
        """Some remarks hold the name, e-mail or phone of the row they stand in, and many hold none."""
        rows = made.customers.select(["first_name", "last_name", "email", "phone", "notes"]).to_pylist()
        holding = {
            name: sum(1 for row in rows if row["notes"] and row[name] and row[name] in row["notes"])
            for name in ("last_name", "email", "phone")
        }

        assert all(count > CUSTOMERS * 0.02 for count in holding.values())
        assert made.customers["notes"].null_count > CUSTOMERS * 0.4

    def test_birth_dates_are_adults(self, made: retail.Retail) -> None:
        """Customers were born between 1934 and 2007."""
        bounds = pc.min_max(made.customers["birth_date"]).as_py()

        assert bounds["min"].year >= 1934
        assert bounds["max"].year <= 2007
        assert made.customers.schema.field("birth_date").type == pa.date32()


class TestReferences:
    def test_orders_name_customers(self, made: retail.Retail) -> None:
        """Every order is a customer's; some customers have none and some have many."""
        customers, buyers = made.customers["customer_id"], made.orders["customer_id"]

        assert pc.all(pc.is_in(buyers, customers.combine_chunks())).as_py()
        assert pc.count_distinct(buyers).as_py() < CUSTOMERS
        assert pc.max(pc.value_counts(buyers).field("counts")).as_py() > 12

    def test_lines_name_orders(self, made: retail.Retail) -> None:
        """Every order has lines 1, 2, 3 … without a gap, and no other order has any."""
        lines = made.order_lines.group_by("order_id").aggregate([("line", "max"), ("line", "count")])

        assert lines["line_max"].cast(pa.int64()).equals(lines["line_count"])
        assert set(lines["order_id"].to_pylist()) == set(made.orders["order_id"].to_pylist())

    def test_most_orders_are_paid_with_the_customers_card(self, made: retail.Retail) -> None:
        """A card joins orders with customers, so both must be treated alike."""
        own = dict(
            zip(made.customers["customer_id"].to_pylist(), made.customers["card"].to_pylist(), strict=True)
        )
        orders = made.orders.select(["customer_id", "payment_card"]).to_pylist()
        share = np.mean([own[order["customer_id"]] == order["payment_card"] for order in orders])

        assert share == pytest.approx(0.85, abs=0.02)


class TestDigits:
    def test_template_stays(self) -> None:
        """Each `#` becomes a digit, everything else stays as it is."""
        matrix = retail.digits("+1 ##-#", 50, np.random.default_rng(1))
        texts = [bytes(row).decode() for row in matrix]

        assert all(text[:3] == "+1 " and text[5] == "-" and (text[3:5] + text[6]).isdigit() for text in texts)
        assert len(set(texts)) > 10
