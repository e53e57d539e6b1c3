"""Makes help texts of docstrings: prose flows to the terminal's width, examples keep their lines."""

from __future__ import annotations

import inspect

import typer


def reflow(app: typer.Typer) -> None:
    """Set the help of every command of an app, and of its groups, to its docstring, reflowed."""
    for command in app.registered_commands:
        command.help = flowing(command.callback.__doc__ or "")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            reflow(group.typer_instance)


def flowing(docstring: str) -> str:
    """Join the lines of each paragraph of prose; one with markup keeps its lines.

    Args:
        docstring: A docstring, indented as it stands in the source.
    """
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(text if "[green]" in text else text.replace("\n", " ") for text in paragraphs)
