"""`veil budget`: how much may still be learned of people, and what it was spent on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.budget import Account, Charge, Event, Statement
    from airflow_veil.privacy.ledger.ledger import Ledger

app = typer.Typer(no_args_is_help=True, help="How much may still be learned of people.")


def _decimal(text: str) -> Decimal:
    """An amount, exactly as written."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter("not a number") from None


Name = Annotated[str, typer.Argument(metavar="NAME", help="The budget.", show_default=False)]
AnyName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The budget; all where not said.", show_default=False)
]
Epsilon = Annotated[Decimal | None, typer.Option(parser=_decimal, metavar="AMOUNT", help="Of epsilon.")]
Rho = Annotated[Decimal | None, typer.Option(parser=_decimal, metavar="AMOUNT", help="Of rho.")]
Reason = Annotated[str, typer.Option(help="Why; kept as evidence. No personal data.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List budgets: what each allows in its period, what is spent and what is left.

    [bold]Examples[/bold]

    [green]veil budget list[/green]
    Of all policies that share this ledger.

    [green]veil budget list --json[/green]
    For a machine.
    """
    with _ledger() as opened:
        budgets = opened.budgets
        found = [budgets.statement(account.name) for account in budgets.accounts()]
    if json:
        console.as_json([_standing(statement) for statement in found])
        return
    headings = ("budget", "unit", "allows", "per", "until", "spent", "left", "answers", "unanswered")
    console.table("", headings, [_line(statement) for statement in found], right=("answers", "unanswered"))


@app.command()
def show(name: Name, *, json: Json = False) -> None:
    """Show what a budget was spent on: by data set, query and interval.

    A charge that stays `drawing` was lost in a crash: noise may be out, so the money is.

    [bold]Examples[/bold]

    [green]veil budget show customers[/green]
    How it stands, and each charge.

    [green]veil budget show customers --json[/green]
    The same for a machine.
    """
    with _ledger() as opened:
        statement, charges = opened.budgets.statement(name), opened.budgets.charges(name)
    ordered = sorted(charges, key=lambda charge: (charge.dataset, charge.query, charge.interval_key))
    if json:
        console.as_json(_standing(statement) | {"charges": [_charged(charge) for charge in ordered]})
        return
    console.say(_sentence(statement))
    headings = ("data set", "query", "interval", "state", "costs", "period", "asked", "by", "reason")
    console.table("", headings, [_charge_line(charge) for charge in ordered])


@app.command()
def change(
    name: Name,
    reason: Reason,
    *,
    epsilon: Epsilon = None,
    rho: Rho = None,
    delta: Annotated[
        Decimal | None, typer.Option(parser=_decimal, metavar="AMOUNT", help="The delta that goes with it.")
    ] = None,
) -> None:
    """Change what a budget allows, with a reason; policies that name it must then declare the same.

    What is not named stays. Below what is spent, nothing more can be spent.

    [bold]Examples[/bold]

    [green]veil budget change customers --epsilon 2 --reason "ticket 4711: the council agreed"[/green]
    In its current period, and each one after.
    """
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.dp.loss import told

    given = {"epsilon": epsilon, "rho": rho, "delta": delta}
    wanted = {word: amount for word, amount in given.items() if amount is not None}
    if not wanted:
        raise typer.BadParameter("nothing is changed: give --epsilon, --rho or --delta")
    with _ledger() as opened:
        limits = replace(opened.budgets.statement(name).account.limits, **wanted)
        changed = opened.budgets.change(name, limits, reason=reason, actor=actor())
    console.say(f"{name} allows {told(changed.limits)}.", style="green")


@app.command()
def transfer(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The budget that gives.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The budget that takes.", show_default=False)],
    reason: Reason,
    *,
    epsilon: Epsilon = None,
    rho: Rho = None,
) -> None:
    """Lower the limit of one budget and raise another's by as much: for the same people, unit and period.

    At most what remains can be given. Policies that name the two must then declare the new limits.

    [bold]Examples[/bold]

    [green]veil budget transfer research reports --epsilon 0.5 --reason "ticket 4711: reports first"[/green]
    Half of an epsilon, from research to reports.
    """
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.dp.loss import told

    if (epsilon is None) == (rho is None):
        raise typer.BadParameter("give either --epsilon or --rho")
    with _ledger() as opened:
        _check_word(opened.budgets.statement(source).account, by_rho=rho is not None)
        amount = epsilon if epsilon is not None else rho or Decimal(0)
        done = opened.budgets.transfer(source, target, amount=amount, reason=reason, actor=actor())
    console.say(
        "; ".join(f"{account.name} allows {told(account.limits)}" for account in done) + ".", style="green"
    )


def _check_word(account: Account, *, by_rho: bool) -> None:
    if by_rho != (account.limits.rho is not None):
        raise typer.BadParameter(
            f"{account.name} counts by {'rho' if account.limits.rho is not None else 'epsilon'}"
        )


@app.command()
def events(
    name: AnyName = None,
    *,
    since: Annotated[datetime | None, typer.Option(help="Only what was drawn from then on (UTC).")] = None,
    json: Json = False,
) -> None:
    """List every draw of noise, with what another accountant needs to count it anew.

    [bold]Examples[/bold]

    [green]veil budget events customers --json[/green]
    For dp-accounting, say, in an environment of its own: its pins conflict with Airflow's.

    [green]veil budget events --since 2026-01-01[/green]
    Of all budgets, since the new year.
    """
    with _ledger() as opened:
        found = opened.budgets.events(name, since.replace(tzinfo=UTC) if since else None)
    if json:
        console.as_json([_drawn(event) for event in found])
        return
    headings = ("budget", "data set", "statistic", "mechanism", "sensitivity", "scale", "costs", "drawn")
    console.table("", headings, [_event_line(event) for event in found], right=("sensitivity", "scale"))


@app.command()
def reaccount(
    name: AnyName = None,
    *,
    delta: Annotated[
        float, typer.Option(min=0, max=1, help="The probability with which the bounds may not hold.")
    ] = 1e-6,
    json: Json = False,
) -> None:
    """Count every draw anew, more tightly, by Rényi differential privacy; what is charged stays as it is.

    Of all periods together: what could be learned of people who were there all the time.

    [bold]Examples[/bold]

    [green]veil budget reaccount customers --delta 1e-9[/green]
    What was charged, told as epsilon at this delta, and what it comes to.
    """
    with _ledger() as opened:
        named = [account.name for account in opened.budgets.accounts()] if name is None else [name]
        found = [_reaccounted(opened, each, delta) for each in named]
    if json:
        console.as_json(found)
        return
    headings = ("budget", "unit", "draws", "charged", "charged as epsilon", "counted anew")
    rows = [
        (
            *(each["budget"], each["unit"], f"{each['draws']:,}", each["charged"]),
            *(_rounded(each[word]) for word in ("charged_epsilon", "epsilon")),
        )
        for each in found
    ]
    console.table(f"At delta {delta:g}", headings, rows, right=headings[2:3] + headings[4:])


def _reaccounted(opened: Ledger, name: str, delta: float) -> dict[str, Any]:
    from airflow_veil.privacy.dp.conversion import epsilon_of
    from airflow_veil.privacy.dp.loss import DELTA_UNITS, LOSS_UNITS
    from airflow_veil.privacy.dp.reaccount import Draw, total

    statement = opened.budgets.statement(name)
    drawn = [event.measurement for event in opened.budgets.events(name)]
    draws = [Draw(noise=m.noise, sensitivity=m.sensitivity, scale=m.scale, loss=m.loss) for m in drawn]
    counted, charged = total(draws, delta), statement.spent_ever
    by_rho = epsilon_of(charged.rho / LOSS_UNITS, delta - charged.delta / DELTA_UNITS)
    by_sum = None if charged.epsilon is None or charged.delta else charged.epsilon / LOSS_UNITS
    return {
        "budget": name,
        "unit": statement.account.unit,
        "delta": delta,
        "draws": counted.draws,
        "charged": str(charged),
        "charged_epsilon": _finite(by_rho if by_sum is None else min(by_sum, by_rho)),
        "epsilon": _finite(counted.epsilon),
    }


def _finite(amount: float) -> float | None:
    """JSON has no infinity."""
    return amount if amount < float("inf") else None


def _rounded(amount: float | None) -> str:
    return "no bound" if amount is None else f"{amount:.3f}"


def _ledger() -> Ledger:
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    return own_ledger(Settings.from_env())


def _line(statement: Statement) -> Sequence[str]:
    from airflow_veil.privacy.dp.loss import told

    account = statement.account
    until = f"{statement.period.end:%Y-%m-%d}" if statement.period.end else ""
    counts = (f"{statement.answers:,}", f"{statement.unanswered:,}")
    allows = (account.name, account.unit, told(account.limits), account.per or "total", until)
    return (*allows, str(statement.spent), str(statement.remaining), *counts)


def _sentence(statement: Statement) -> str:
    from airflow_veil.privacy.dp.loss import told

    account, period = statement.account, statement.period
    when = f"from {period.start:%Y-%m-%d} to {period.end:%Y-%m-%d}" if period.start else "in all"
    return (
        f"{account.name} allows {told(account.limits)} {when} for each {account.unit}: "
        f"spent {statement.spent}, left {statement.remaining}."
    )


def _standing(statement: Statement) -> dict[str, Any]:
    account, period = statement.account, statement.period
    return {
        "name": account.name,
        "unit": account.unit,
        "kind": account.limits.kind,
        "limits": account.limits.as_dict(),
        "per": account.per,
        "period": {"key": period.key, "start": _time(period.start), "end": _time(period.end)},
        "spent": statement.spent.as_dict(),
        "spent_ever": statement.spent_ever.as_dict(),
        "remaining": statement.remaining.as_dict(),
        "answers": statement.answers,
        "unanswered": statement.unanswered,
    }


_CHARGED = (
    "charge_id",
    "dataset",
    "query",
    "interval_key",
    "policy",
    "state",
    "period_key",
    "actor",
    "reason",
)


def _charged(charge: Charge) -> dict[str, Any]:
    """What is shown of a charge; its claim is its holder's alone."""
    shown = {word: getattr(charge, word) for word in _CHARGED}
    return shown | {"loss": charge.loss.as_dict(), "created_at": _time(charge.created_at)}


def _charge_line(charge: Charge) -> Sequence[str]:
    named = (charge.dataset, charge.query, charge.interval_key, str(charge.state), str(charge.loss))
    return (*named, charge.period_key, _time(charge.created_at) or "", charge.actor, charge.reason or "")


def _drawn(event: Event) -> dict[str, Any]:
    from airflow_veil.privacy.ledger.measurements import as_dict

    kept = {"budget": event.budget, "period": event.period_key, "charge": event.charge_id}
    return kept | {"ordinal": event.ordinal, "drawn_at": _time(event.drawn_at)} | as_dict(event.measurement)


def _event_line(event: Event) -> Sequence[str]:
    drawn = event.measurement
    named = (event.budget, drawn.dataset, drawn.statistic, drawn.mechanism, drawn.sensitivity, drawn.scale)
    return (*named, str(drawn.loss), _time(event.drawn_at) or "")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
