"""`veil synthesizers`: the models that synthetic tables are drawn from."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.options import Policy

if TYPE_CHECKING:
    from airflow_veil.privacy.ledger.models import ModelRecord

app = typer.Typer(
    no_args_is_help=True, help="Models of synthetic data: sealed, and personal data themselves."
)

OneModel = Annotated[str, typer.Argument(metavar="MODEL", help="Its name.", show_default=False)]

_SHOWN = ("model_id", "policy", "synthesis", "method", "state", "bytes", "fitted_at", "expires_at")
_HIDDEN = ("data_version",)
"""Who knows it could test guesses about the rows."""


@app.command("list")
def list_(
    policy: Annotated[
        Path | None,
        typer.Argument(metavar="[POLICY]", help="Models of this policy only.", show_default=False),
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Write the models as JSON.")] = False,
) -> None:
    """List models, the newest first, from the ledger.

    [bold]Examples[/bold]

    [green]veil synthesizers list[/green]
    Of all policies that this ledger knows.

    [green]veil synthesizers list shop_synthetic.yaml --json[/green]
    Of one policy, for a machine.
    """
    from airflow_veil.privacy.policy.load import load
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    name = load(policy).policy.name if policy else None
    with own_ledger(Settings.from_env()) as opened:
        models = [_public(record) for record in opened.models.listed(name)[:limit]]
    if json:
        console.as_json(models)
        return
    rows = [tuple(_text(model[word]) for word in _SHOWN) for model in models]
    console.table("", _SHOWN, rows, right=("bytes",))


@app.command()
def show(
    model: OneModel,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write it as JSON.")] = False,
) -> None:
    """Show what the ledger has of a model, and what was measured of the rows that were drawn from it.

    The scores are computed on private rows: show them to whoever may see these, and to nobody else.

    [bold]Examples[/bold]

    [green]veil synthesizers show 5f0c6c1b2d0e4f7aa1c2d3e4f5061728[/green]
    By its name, from `veil synthesizers list`.
    """
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    with own_ledger(Settings.from_env()) as opened:
        record = opened.models.find(model)
        told = _public(record) | {"evaluations": _evaluations(opened, record)}
    if json:
        console.as_json(told)
        return
    console.say(record.where, style="bold")
    for word, value in told.items():
        if word != "evaluations":
            console.say(f"{word}: {_text(value)}")
    for each in told["evaluations"]:
        console.say(f"{each['release']}: {each['outcome']} {', '.join(each['reasons'])}".rstrip())
    if told["evaluations"]:
        console.say("All figures: `veil synthesizers show … --json`.")


@app.command()
def destroy(
    policy: Policy,
    model: OneModel,
    reason: Annotated[str, typer.Option(help="Why; kept as evidence. No personal data.", show_default=False)],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Destroy a model: its bytes are removed, and nothing is drawn from it any more. What it published stays.

    [bold]Examples[/bold]

    [green]veil synthesizers destroy shop_synthetic.yaml 5f0c6c1b2d0e4f7aa1c2d3e4f5061728 --reason "ticket 4711: wrong
    table"[/green] The next run of the DAG fits another.
    """
    from airflow_veil.cli.workspace import actor, workspace
    from airflow_veil.privacy.errors import SyntheticError
    from airflow_veil.privacy.ledger.reason import LONGEST_REASON, SHORTEST_REASON
    from airflow_veil.privacy.retention import models

    if not SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON:
        raise typer.BadParameter(f"the reason has {SHORTEST_REASON} to {LONGEST_REASON} characters")
    with workspace(policy) as opened:
        record = opened.ledger.models.find(model)
        if record.policy != opened.loaded.policy.name:
            raise SyntheticError("the model is another policy's", where=record.where)
        if not yes:
            typer.confirm(f"Destroy {record.where} for good?", abort=True, err=True)
        ended = models.destroy(opened, model, reason=reason, actor=actor())
    console.say(f"Model {model} is {ended.state}; its bytes are gone.", style="green")


def _evaluations(opened: Any, record: ModelRecord) -> list[dict[str, Any]]:
    """What was found out of the releases that were drawn from a model, from the evidence."""
    found = []
    for release in opened.list(record.policy):
        synthetic = (release.manifest or {}).get("synthetic")
        if not synthetic or synthetic["model"]["id"] != record.model_id:
            continue
        for entry in opened.evidence_of(release.subject, "synthetic.evaluated", "synthetic.denied"):
            if entry.payload is None:
                continue
            content = entry.content
            found.append(
                {
                    "release": release.release_id,
                    "at": entry.recorded_at.isoformat(timespec="seconds"),
                    "outcome": content["outcome"],
                    "reasons": [f"{each['code']} {each['of']}".strip() for each in content["reasons"]],
                    "figures": content["figures"],
                }
            )
    return found


def _public(record: ModelRecord) -> dict[str, Any]:
    """What may be shown of a model."""
    return {word: _plain(value) for word, value in asdict(record).items() if word not in _HIDDEN}


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
