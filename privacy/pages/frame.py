"""The frame of all pages: one file of HTML that loads nothing, prints well, and takes no text for markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def template(package: str, name: str, filters: Mapping[str, Callable[..., Any]] | None = None) -> Template:
    """A page's template, which extends `frame.html`.

    Args:
        package: The package that the template lies in. `airflow_veil` is a namespace, which has no folder of its own.
        name: Its file.
        filters: What it spells values with.
    """
    from jinja2 import DictLoader, Environment, StrictUndefined

    sources = {
        "frame.html": files(__package__).joinpath("frame.html").read_text("utf-8"),
        name: files(package).joinpath(name).read_text("utf-8"),
    }
    # What a page tells is somebody's text: none of it is markup.
    environment = Environment(
        loader=DictLoader(sources),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters or {}
    return environment.get_template(name)
