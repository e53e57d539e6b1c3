"""`veil schema`: the JSON Schema of policies."""

from __future__ import annotations

from airflow_veil.cli import console


def schema() -> None:
    """Write the JSON Schema of policies, for editors and other machines.

    With it an editor completes the words, shows what they mean and underlines mistakes while you write. `veil
    check` finds more: what a schema cannot say.

    [bold]Examples[/bold]

    [green]veil schema > policy.schema.json[/green]
    Then begin a policy with:  # yaml-language-server: $schema=policy.schema.json
    """
    from airflow_veil.privacy.policy.schema import json_schema

    console.as_json(json_schema())
