"""What changed between two plans, and whether it shows more of people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_veil.privacy.plan.difference import Drift
from airflow_veil.privacy.plan.drift import drift
from airflow_veil.privacy.plan.strength import MEASURES, SETS
from airflow_veil.privacy.plan.written import WrittenPlan, written
from airflow_veil.privacy.policy.load import load
from airflow_veil.privacy.transforms.registry import TRANSFORMS

GATE = """\
  gate: {deny: {k: 2, kept_rows: 0.5}, approve: {k: 5, prosecutor_max: 0.2}, jump: {k: 2}, people: 2}
"""
POLICY = """\
version: 1
name: shop
owner: data@example.com
keys: {file: ring.json}
datasets:
  people:
    source: people.parquet
    subject: id
    where: "country == 'GB'"
    sample: {fraction: 0.5}
    on_new_column: fail
    expectations: people
    erasure: delete
    retention: {after: P3Y, from: born}
    anonymize:
      {k: 5, l: {ill: 2}, t: {ill: 0.4}, suppress_at_most: 0.1,
       quasi_identifiers: {born: born.csv, country: country.csv}}
    columns:
      id: {class: direct_identifier, type: int64, treat: {token: {domain: person}}}
      email: {class: direct_identifier, category: user.contact.email, treat: {token: {domain: mail}}}
      phone: {class: direct_identifier, treat: {mask: {keep_last: 2}}}
      born: {class: quasi_identifier, type: date, treat: {generalize: {to: year}}}
      country: {class: quasi_identifier, treat: keep}
      ill: {class: sensitive, treat: keep}
      name: {class: direct_identifier, treat: drop}
      notes: {class: free_text, treat: drop}
  orders:
    source: orders.parquet
    subject: {column: buyer, references: people.id}
    erasure: delete
    columns:
      buyer: {class: direct_identifier, type: int64, treat: {token: {domain: person}}}
      card: {class: direct_identifier, treat: {token: {domain: card}}}
      total: {class: none, treat: keep}
release:
  destination: releases
  expires_after: P30D
"""
POLICY += GATE
POLICY += """\
  classify: true
erasure: {identifiers: [people.email], answers: {exempt: noise hides who is in them}}
differential_privacy:
  budgets:
    all: {unit: people.id, epsilon: 3, delta: 1.0e-6}
  queries:
    q:
      dataset: people
      budget: all
      spend: {epsilon: 1, delta: 1.0e-8}
      keys: {country: unknown}
      measures: {n: count}
synthetic:
  releases:
    made:
      method: faker
      tables: {people: {rows: 10, columns: {id: key, country: {categories: {values: [GB, FR]}}}}}
"""


@pytest.fixture
def plan_of(tmp_path: Path) -> Any:
    def plan(*changes: tuple[str, str], schemas: Any = None) -> WrittenPlan:
        text = POLICY
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "shop.yaml"
        path.write_text(text)
        return written(load(path), schemas)

    for name in ("born", "country"):
        (tmp_path / f"{name}.csv").write_text("1990;*\n")
    return plan


def told(found: tuple[Drift, ...]) -> list[tuple[str, str, str]]:
    return [(each.rule, each.strength.value, ".".join(each.place)) for each in found]


def case(name: str, old: str, new: str, *expected: str) -> Any:
    """A change of the policy, and what is told of it: rule, strength and place."""
    return pytest.param(old, new, [tuple(each.split()) for each in expected], id=name)


CASES = [
    case(
        "a dropped column leaves",
        "name: {class: direct_identifier, treat: drop}",
        "name: {class: direct_identifier, treat: {mask: {keep_first: 1}}}",
        "leaves weaker datasets.people.columns.name",
    ),
    case(
        "a new column leaves",
        "      ill: {",
        "      fever: {class: sensitive, treat: keep}\n      ill: {",
        "leaves weaker datasets.people.columns.fever",
    ),
    case(
        "a new column is dropped",
        "      ill: {",
        "      fever: {class: sensitive, treat: drop}\n      ill: {",
        "named changed datasets.people.columns.fever",
    ),
    case(
        "a column leaves no more",
        "phone: {class: direct_identifier, treat: {mask: {keep_last: 2}}}",
        "phone: {class: direct_identifier, treat: drop}",
        "leaves stricter datasets.people.columns.phone",
    ),
    case(
        "a mask keeps more",
        "keep_last: 2",
        "keep_last: 4",
        "treatment weaker datasets.people.columns.phone.treat",
    ),
    case(
        "a mask keeps less",
        "keep_last: 2",
        "keep_last: 1",
        "treatment stricter datasets.people.columns.phone.treat",
    ),
    case(
        "less at one end, more at the other",
        "keep_last: 2",
        "keep_last: 1, keep_first: 1",
        "treatment weaker datasets.people.columns.phone.treat",
    ),
    case(
        "another sign",
        "keep_last: 2",
        "keep_last: 2, with: '#'",
        "treatment changed datasets.people.columns.phone.treat",
    ),
    case(
        "a finer date",
        "to: year",
        "to: month",
        "treatment weaker datasets.people.columns.born.treat",
        "type changed datasets.people.columns.born",
    ),
    case("a coarser date", "to: year", "to: decade", "treatment stricter datasets.people.columns.born.treat"),
    case(
        "a mask becomes a token",
        "{mask: {keep_last: 2}}",
        "{token: {domain: phone}}",
        "treatment weaker datasets.people.columns.phone.treat",
        "key-domain changed datasets.people.columns.phone.treat",
    ),
    case(
        "a token can be read",
        "{token: {domain: mail}}",
        "{token: {domain: mail, reversible: true}}",
        "treatment weaker datasets.people.columns.email.treat",
    ),
    case(
        "a token becomes a mask",
        "{token: {domain: mail}}",
        "{mask: {keep_last: 2}}",
        "treatment weaker datasets.people.columns.email.treat",
        "key-domain changed datasets.people.columns.email.treat",
    ),
    case(
        "values become null",
        "ill: {class: sensitive, treat: keep}",
        "ill: {class: sensitive, treat: null}",
        "treatment stricter datasets.people.columns.ill.treat",
    ),
    case(
        "in clear, for a reason",
        "{class: direct_identifier, treat: {mask: {keep_last: 2}}}",
        "{class: direct_identifier, treat: keep, unsafe_reason: nobody answers it}",
        "unsafe-reason weaker datasets.people.columns.phone.unsafe_reason",
        "treatment weaker datasets.people.columns.phone.treat",
    ),
    case(
        "no class",
        "ill: {class: sensitive",
        "ill: {class: none",
        "class weaker datasets.people.columns.ill.class",
    ),
    case(
        "a class where none was",
        "total: {class: none",
        "total: {class: sensitive",
        "class stricter datasets.orders.columns.total.class",
    ),
    case(
        "another class",
        "ill: {class: sensitive",
        "ill: {class: quasi_identifier",
        "class changed datasets.people.columns.ill.class",
    ),
    case(
        "another category",
        "user.contact.email",
        "user.contact",
        "category changed datasets.people.columns.email.category",
    ),
    case(
        "tokens that join other columns",
        "domain: card",
        "domain: mail",
        "key-domain weaker datasets.orders.columns.card.treat",
    ),
    case(
        "tokens that join nothing",
        "domain: card",
        "domain: payment",
        "key-domain changed datasets.orders.columns.card.treat",
    ),
    case(
        "another type",
        "type: int64, treat: {token: {domain: person}}}\n      email",
        "type: int32, treat: {token: {domain: person}}}\n      email",
        "type changed datasets.people.columns.id",
    ),
    case(
        "a type where none was declared",
        "email: {class: direct_identifier, ",
        "email: {class: direct_identifier, type: string, ",
        "type changed datasets.people.columns.email",
        "type changed datasets.people.columns.email",
    ),
    case("all rows leave", "    where: \"country == 'GB'\"\n", "", "rows weaker datasets.people"),
    case("other rows leave", "country == 'GB'", "country == 'FR'", "rows changed datasets.people.where"),
    case("more people leave", "fraction: 0.5", "fraction: 0.6", "rows weaker datasets.people.sample"),
    case("fewer people leave", "fraction: 0.5", "fraction: 0.4", "rows stricter datasets.people.sample"),
    case(
        "new columns pass unseen",
        "on_new_column: fail",
        "on_new_column: drop",
        "new-column weaker datasets.people.on_new_column",
    ),
    case(
        "no expectations",
        "    expectations: people\n",
        "",
        "expectations weaker datasets.people.expectations",
    ),
    case(
        "another source",
        "source: people.parquet",
        "source: folk.parquet",
        "source changed datasets.people.source",
    ),
    case("rows are kept longer", "after: P3Y", "after: P5Y", "retention weaker datasets.people.retention"),
    case(
        "other words of retention",
        "after: P3Y",
        "after: P36M, grace: P1D",
        "retention changed datasets.people.retention",
    ),
    case(
        "no retention",
        "    retention: {after: P3Y, from: born}\n",
        "",
        "retention weaker datasets.people.retention",
    ),
    case("smaller classes", "{k: 5, l", "{k: 3, l", "anonymize weaker datasets.people.anonymize"),
    case("larger classes", "{k: 5, l", "{k: 9, l", "anonymize stricter datasets.people.anonymize"),
    case("less diverse classes", "{ill: 2}", "{ill: 1.5}", "anonymize weaker datasets.people.anonymize"),
    case(
        "classes farther from all",
        "t: {ill: 0.4}",
        "t: {ill: 0.5}",
        "anonymize weaker datasets.people.anonymize",
    ),
    case(
        "a quasi-identifier counts no more",
        "{born: born.csv, country: country.csv}",
        "{country: country.csv}",
        "anonymize weaker datasets.people.anonymize",
    ),
    case(
        "more is suppressed",
        "suppress_at_most: 0.1",
        "suppress_at_most: 0.2",
        "anonymize changed datasets.people.anonymize",
    ),
    case(
        "another metric",
        "suppress_at_most: 0.1",
        "suppress_at_most: 0.1, quality: entropy",
        "anonymize changed datasets.people.anonymize",
    ),
    case(
        "another destination",
        "destination: releases",
        "destination: elsewhere",
        "destination changed release.destination",
    ),
    case(
        "longer in use", "expires_after: P30D", "expires_after: P31D", "expiry weaker release.expires_after"
    ),
    case("no end", "  expires_after: P30D\n", "", "expiry weaker release.expires_after"),
    case(
        "shorter in use", "expires_after: P30D", "expires_after: P1W", "expiry stricter release.expires_after"
    ),
    case(
        "columns are not looked at", "classify: true", "classify: false", "classify weaker release.classify"
    ),
    case(
        "steps", "destination: releases", "destination: releases\n  run: stepwise", "run changed release.run"
    ),
    case("a lower bound on k", "deny: {k: 2,", "deny: {k: 1,", "gate weaker release.gate.deny.k"),
    case("a higher bound on k", "deny: {k: 2,", "deny: {k: 3,", "gate stricter release.gate.deny.k"),
    case(
        "more risk",
        "prosecutor_max: 0.2",
        "prosecutor_max: 0.3",
        "gate weaker release.gate.approve.prosecutor_max",
    ),
    case("a bound is gone", ", prosecutor_max: 0.2", "", "gate weaker release.gate.approve.prosecutor_max"),
    case(
        "a bound is new",
        "approve: {k: 5,",
        "approve: {k: 5, unique_max: 0.1,",
        "gate stricter release.gate.approve.unique_max",
    ),
    case(
        "fewer rows are enough", "kept_rows: 0.5", "kept_rows: 0.4", "gate weaker release.gate.deny.kept_rows"
    ),
    case("a larger jump", "jump: {k: 2}", "jump: {k: 4}", "gate weaker release.gate.jump.k"),
    case("one person approves", "people: 2", "people: 1", "gate weaker release.gate.people"),
    case("approvals hold longer", "people: 2", "people: 2, valid: P9D", "gate weaker release.gate.valid"),
    case(
        "people are waited for longer", "people: 2", "people: 2, wait: P2D", "gate changed release.gate.wait"
    ),
    case("no gate", GATE, "", "gate weaker release.gate"),
    case("a larger budget", "epsilon: 3", "epsilon: 4", "budget weaker differential_privacy.budgets.all"),
    case("a smaller budget", "epsilon: 3", "epsilon: 2", "budget stricter differential_privacy.budgets.all"),
    case(
        "a query spends more",
        "{epsilon: 1, delta: 1.0e-8}",
        "{epsilon: 1, delta: 1.0e-7}",
        "query weaker differential_privacy.queries.q",
    ),
    case(
        "another query",
        "    q:\n",
        "    r:\n",
        "query weaker differential_privacy.queries.r",
        "query stricter differential_privacy.queries.q",
    ),
    case(
        "other keys of a query",
        "country: unknown",
        "country: {values: [GB], source: a public list}",
        "query changed differential_privacy.queries.q",
    ),
    case(
        "other made-up tables",
        "    made:\n",
        "    invented:\n",
        "synthesis weaker synthetic.releases.invented",
        "synthesis stricter synthetic.releases.made",
    ),
    case(
        "a model learns what was invented",
        "method: faker",
        "method: gaussian_copula\n      evaluate: {}",
        "synthesis changed synthetic.releases.made",
    ),
    case(
        "utility is measured",
        "  expires_after: P30D\n",
        "  expires_after: P30D\n  utility: {}\n",
        "utility stricter release.utility",
    ),
    case("another ring", "keys: {file: ring.json}", "keys: {file: other.json}", "keys changed keys"),
    case(
        "erasure by other words",
        "identifiers: [people.email]",
        "identifiers: [people.id]",
        "erasure changed erasure",
    ),
    case("another name", "name: shop", "name: store", "name changed name"),
    case(
        "another data set",
        "  orders:\n",
        "  purchases:\n",
        "dataset weaker datasets.purchases",
        "dataset stricter datasets.orders",
    ),
    case(
        "rows are nobody's",
        "subject: {column: buyer, references: people.id}",
        "subject: {none: they are all the same to us}",
        "subject weaker datasets.orders.subject",
    ),
]


class TestDrift:
    def test_the_same_plan_has_none(self, plan_of: Any) -> None:
        """Nothing changed, so nothing is told."""
        assert drift(plan_of(), plan_of()) == ()

    @pytest.mark.parametrize(("old", "new", "expected"), CASES)
    def test_change(self, plan_of: Any, old: str, new: str, expected: list[tuple[str, str, str]]) -> None:
        """Each change of the policy is told once, at its place, and as what it is to people."""
        assert told(drift(plan_of(), plan_of((old, new)))) == expected

    @pytest.mark.parametrize(("old", "new", "expected"), CASES)
    def test_the_way_back(
        self, plan_of: Any, old: str, new: str, expected: list[tuple[str, str, str]]
    ) -> None:
        """What shows less than before is weaker to take back, and what only changed is never stricter to take back."""
        back = [(each.rule, each.strength.value) for each in drift(plan_of((old, new)), plan_of())]

        assert {rule for rule, _ in back} == {rule for rule, _, _ in expected}
        for rule, strength, _ in expected:
            assert strength != "stricter" or (rule, "weaker") in back
            assert strength != "changed" or rule == "type" or (rule, "stricter") not in back

    def test_words(self, plan_of: Any) -> None:
        """Messages name the column and both treatments, and say why it is weaker."""
        (weaker,) = drift(plan_of(), plan_of(("keep_last: 2", "keep_last: 4")))
        (joined,) = drift(plan_of(), plan_of(("domain: card", "domain: mail")))

        assert weaker.message == (
            "people.phone is treated weaker: `mask {keep_last: 2}` became `mask {keep_last: 4}`: keep_last 2 → 4"
        )
        assert "it can be joined with people.email now" in joined.message

    def test_a_file_with_other_content(self, plan_of: Any, tmp_path: Path) -> None:
        """A hierarchy that changed changes the plan, though the policy did not."""
        before = plan_of()
        (tmp_path / "born.csv").write_text("1990;1990s\n")
        (found,) = drift(before, plan_of())

        assert (found.rule, "born.csv" in found.message) == ("file", True)

    def test_what_one_plan_does_not_know_is_not_compared(self, plan_of: Any) -> None:
        """Types and unnamed columns of a source are compared with those of a source alone."""
        people = pa.schema(
            {
                "id": pa.int64(), "email": pa.string(), "phone": pa.string(), "born": pa.date32(),
                "country": pa.string(), "ill": pa.string(), "name": pa.string(), "notes": pa.string(),
            }
        )  # fmt: skip
        orders = pa.schema({"buyer": pa.int64(), "card": pa.string(), "total": pa.float64()})
        bound = plan_of(schemas={"people": people, "orders": orders})
        more = orders.append(pa.field("coupon", pa.string())).set(2, pa.field("total", pa.int64()))
        other = plan_of(schemas={"people": people, "orders": more})

        assert drift(plan_of(), bound) == drift(bound, plan_of()) == ()
        assert [each.rule for each in drift(bound, other)] == ["type", "type", "unnamed"]


NEUTRAL = {
    ("constant", "value"), ("constant", "keep_nulls"), ("mask", "style"), ("mask", "with_"), ("token", "domain"),
    ("token", "reversible"), ("fpe", "alphabet"), ("fpe", "characters"), ("fpe", "luhn"), ("fpe", "length"),
    ("fpe", "separators"), ("fpe", "domain"), ("generalize", "label"), ("generalize", "pad_with"),
    ("generalize", "invalid"), ("date_shift", "null_subject"), ("noise", "distribution"), ("noise", "relative"),
    ("noise", "by"), ("noise", "bounds"), ("noise", "round_to"), ("fake", "provider"), ("fake", "locale"),
    ("fake", "by"), ("fake", "pool"),
}  # fmt: skip
"""Parameters without a direction of their own; some of them are told by promises."""


class TestParameters:
    def test_each_has_been_thought_of(self) -> None:
        """A parameter that is new has a direction, or stands among those that have none."""
        known = {(word, name.partition(".")[0]) for word, name in (*MEASURES, *SETS)}
        all_ = {(word, name) for word, transform in TRANSFORMS.items() for name in transform.model_fields}

        assert all_ == known | NEUTRAL
        assert not known & NEUTRAL

    @pytest.mark.parametrize(
        ("old", "new", "strength"),
        [
            ("generalize: {width: 10}", "generalize: {width: 5}", "weaker"),
            ("generalize: {width: 10}", "generalize: {width: 10, top: 90}", "stricter"),
            ("generalize: {width: 10, top: 90}", "generalize: {width: 10, top: 99}", "weaker"),
            ("generalize: {width: 10, bottom: 9}", "generalize: {width: 10, bottom: 18}", "stricter"),
            ("generalize: {edges: [1, 2, 3]}", "generalize: {edges: [1, 2, 3, 4]}", "weaker"),
            ("generalize: {edges: [1, 2, 3]}", "generalize: {edges: [1, 3]}", "stricter"),
            ("generalize: {edges: [1, 2, 3]}", "generalize: {edges: [1, 4]}", "changed"),
            ("generalize: {width: 10}", "generalize: {edges: [1, 4]}", "changed"),
            ("generalize: {digits: 1}", "generalize: {digits: 2}", "weaker"),
            ("noise: {scale: 2.0}", "noise: {scale: 1.0}", "weaker"),
            ("noise: {scale: 2.0}", "noise: {scale: 2.0, by: value}", "weaker"),
            ("noise: {scale: 2.0}", "noise: {scale: 2.0, relative: true}", "weaker"),
            ("constant: {value: 1}", "constant: {value: 1, keep_nulls: true}", "weaker"),
            ("noise: {scale: 2.0}", "generalize: {width: 5}", "weaker"),
            ("generalize: {width: 5}", "noise: {scale: 2.0}", "changed"),
        ],
    )
    def test_numbers(self, tmp_path: Path, old: str, new: str, strength: str) -> None:
        """Finer buckets, further caps and less noise are weaker; a guess is never called stricter."""
        self._is(tmp_path, "float64", old, new, strength)

    @pytest.mark.parametrize(
        ("old", "new", "strength"),
        [
            ("generalize: {prefix: 2}", "generalize: {prefix: 3}", "weaker"),
            ("generalize: {network: {v4: 16}}", "generalize: {network: {}}", "weaker"),
            ("generalize: {network: {v4: 16}}", "generalize: {network: {v4: 8}}", "stricter"),
            ("redact: {}", "redact: {kinds: [email]}", "weaker"),
            ("redact: {kinds: [email]}", "redact: {kinds: [email, ip]}", "stricter"),
            ("redact: {kinds: [email]}", "redact: {kinds: [ip]}", "changed"),
            ("mask: {length: 8}", "mask: {}", "weaker"),
            ("mask: {}", "mask: {length: 8}", "stricter"),
            ("mask: {}", "mask: {keep_separators: false}", "stricter"),
            (
                "token: {domain: a, reversible: true, pad_to: 32}",
                "token: {domain: a, reversible: true}",
                "weaker",
            ),
            ("fpe: {keep_last: 4}", "fpe: {keep_last: 6}", "weaker"),
        ],
    )
    def test_text(self, tmp_path: Path, old: str, new: str, strength: str) -> None:
        """Longer beginnings and lengths that show are weaker."""
        self._is(tmp_path, "string", old, new, strength)

    @staticmethod
    def _is(folder: Path, kind: str, old: str, new: str, strength: str) -> None:
        plans = []
        for treat in (old, new):
            path = folder / "p.yaml"
            path.write_text(
                "version: 1\nname: p\nowner: o\ndatasets:\n  d:\n    source: d.parquet\n    subject: id\n    columns:\n"
                "      id: {class: direct_identifier, treat: {token: {domain: x}}}\n"
                f"      a: {{class: sensitive, type: {kind}, treat: {{{treat}}}}}\n"
            )
            plans.append(written(load(path)))
        found = [each for each in drift(*plans) if each.rule == "treatment"]

        assert [each.strength.value for each in found] == [strength]
