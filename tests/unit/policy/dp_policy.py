"""A small policy with differential privacy, for the tests of its rules, its compilation and its commands."""

from __future__ import annotations

GOOD = """\
version: 1
name: shop
owner: data@example.com
datasets:
  customers:
    source: customers.parquet
    subject: id
    columns:
      id: {class: direct_identifier, type: int64, treat: drop}
      country: {class: quasi_identifier, type: string, treat: drop}
      premium: {class: none, type: bool, treat: drop}
      name: {class: direct_identifier, type: string, treat: drop}
      notes: {class: free_text, type: string, treat: drop}
  orders:
    source: orders.parquet
    subject: {column: customer, references: customers.id}
    columns:
      customer: {class: direct_identifier, type: int64, treat: drop}
      ordered: {class: quasi_identifier, type: timestamp, treat: drop}
      paid: {class: sensitive, type: float64, treat: drop}
      pieces: {class: none, type: int32, treat: drop}
      status: {class: none, type: string, treat: drop}
      serial: {class: none, type: uint64, treat: drop}
release: {destination: releases}
differential_privacy:
  budgets:
    people:
      unit: customers.id
      epsilon: 10
      delta: 1e-6
  queries:
    by_month:
      dataset: orders
      budget: people
      spend: {epsilon: 0.5}
      contribution: {groups_per_unit: 3, rows_per_group: 2}
      where: "status != 'cancelled'"
      keys:
        month: {column: ordered, to: month, first: 2024-01, last: 2024-12}
        status: {values: [placed, shipped], source: the shop's manual}
      measures:
        orders: count
        customers: count_distinct
        paid: {sum: {column: paid, bounds: [0, 500]}}
        median: {quantiles: {column: paid, quantiles: [0.5], candidates: {first: 0, last: 500, step: 5}}}
    by_country:
      dataset: customers
      budget: people
      spend: {epsilon: 0.1, delta: 1e-8}
      keys:
        country: unknown
      measures:
        customers: count_distinct
        premium: {histogram: {column: premium, values: [true, false]}}
"""
