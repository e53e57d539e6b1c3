"""MST: noisy marginals of all columns, and of the pairs on a tree over them that noisy choices find.

McKenna, Miklau and Sheldon, "Winning the NIST Contest: A scalable and general approach to differentially private
synthetic data" (2021), https://arxiv.org/abs/2108.04978. The tree is Kruskal's of the greatest weights, each edge drawn
by the exponential mechanism among those that join two parts; a weight is how far a pair of columns is from being
independent, as the noisy columns have it. For d columns: d noisy columns, d - 1 choices, d - 1 noisy pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from airflow_veil.privacy.synthetic.draws import Candidate, Draws
from airflow_veil.privacy.synthetic.estimation import Fit, Measured, total_of
from airflow_veil.privacy.synthetic.marginals import Clique, pairs
from airflow_veil.privacy.synthetic.planned import Planned, Spending
from airflow_veil.privacy.synthetic.rare import Grouped, grouped, measured_of, together

COLUMNS, CHOICES = Fraction(1, 5), Fraction(1, 10)
"""What of the loss goes to columns, and to choices; the rest goes to pairs, which tell of columns as well."""


def plan(columns: tuple[str, ...], spending: Spending) -> tuple[Planned, ...]:
    """The draws of MST, in their order.

    Raises:
        BudgetError: The loss is too small for so many.
    """
    edges = len(columns) - 1
    if not edges:
        return column_plan(columns, spending, Fraction(1))
    choice = spending.share(CHOICES, edges)
    pair = spending.share(1 - COLUMNS - CHOICES, edges)
    return (
        *column_plan(columns, spending, COLUMNS),
        *(spending.choice(f"choice {number}", choice) for number in range(1, edges + 1)),
        *(spending.marginal(f"marginal {number}", pair) for number in range(1, edges + 1)),
    )


def column_plan(columns: tuple[str, ...], spending: Spending, part: Fraction) -> tuple[Planned, ...]:
    """The noisy columns, which both methods begin with."""
    amount = spending.share(part, len(columns))
    return tuple(spending.marginal(f"column {name}", amount) for name in columns)


def fit(
    columns: tuple[str, ...], planned: tuple[Planned, ...], draws: Draws, progress: Callable[[str], None]
) -> tuple[Fit, list[Grouped]]:
    """Draw and fit.

    Returns:
        The model over groups of codes, and the groups of each column.
    """
    model, codes = of_columns(columns, planned, draws)
    groups = [one.group for one in codes]
    part = list(range(len(columns)))
    alone = {pair: model.expected(pair) for pair in pairs(model.sizes)}
    tree: list[Clique] = []
    for number in range(1, len(columns)):
        open_ = [pair for pair in alone if part[pair[0]] != part[pair[1]]]
        chosen = open_[
            draws.choose(f"choice {number}", [Candidate(pair, alone[pair]) for pair in open_], groups)
        ]
        tree.append(chosen)
        joined = part[chosen[1]]
        part = [part[chosen[0]] if one == joined else one for one in part]
    progress(f"{len(tree)} pairs chosen")
    for number, pair in enumerate(tree, 1):
        deviation = deviation_of(planned, f"marginal {number}")
        noisy = draws.marginal(f"marginal {number}", pair, [groups[column] for column in pair])
        model.add(Measured(pair, noisy, deviation))
    model.finish()
    progress(f"{len(model.measured)} marginals fitted")
    return model, codes


def of_columns(
    columns: tuple[str, ...], planned: tuple[Planned, ...], draws: Draws
) -> tuple[Fit, list[Grouped]]:
    """Draw the noisy columns: the model in which they are independent, and the groups of each."""
    codes, measured = [], []
    for number, name in enumerate(columns):
        deviation = deviation_of(planned, f"column {name}")
        noisy = draws.marginal(f"column {name}", (number,), [draws.codes(number)])
        codes.append(grouped(noisy, deviation))
        measured.append(measured_of(number, noisy, deviation, codes[-1]))
    model = Fit(together(codes), total_of(measured))
    for one in measured:
        model.add(one)
    return model, codes


def deviation_of(planned: tuple[Planned, ...], name: str) -> float:
    """The standard deviation of the noise of a draw."""
    return next(one.deviation for one in planned if one.name == name)
