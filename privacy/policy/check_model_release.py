"""Checks what `models` means: rows that there are, code that somebody vouches for, bounds that can bite.

Each rule is a function, as in `check`; nothing here reads data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_veil.privacy.policy.asked import nearest
from airflow_veil.privacy.policy.finding import Finding
from airflow_veil.privacy.policy.licences import LICENCES
from airflow_veil.privacy.policy.load import LoadedPolicy
from airflow_veil.privacy.policy.model_release import ModelRelease, ModelRows
from airflow_veil.privacy.policy.models import FileDestination
from airflow_veil.privacy.policy.source_map import Path

SECTION = "models"
_CODE = ("joblib", "pickle")
_SIDES = ("train", "holdout")


def _models(loaded: LoadedPolicy) -> Iterator[tuple[Path, str, ModelRelease]]:
    for name, model in loaded.policy.models.items():
        yield (SECTION, name), name, model


def _sides(model: ModelRelease) -> Iterator[tuple[str, ModelRows]]:
    yield from zip(_SIDES, (model.trained_on.train, model.trained_on.holdout), strict=True)


def _trust(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A pickle is a program: it runs only if somebody vouches for exactly this file."""
    for place, _, model in _models(loaded):
        if model.format in _CODE and model.trusted_digest is None:
            yield loaded.finding(
                (*place, "format"),
                "model-code",
                f"loading a {model.format} file runs whatever is in it",
                "write the model with skops, or put the SHA-256 of a file that you trust under `trusted_digest`",
            )
        if model.format in _CODE and model.trusted_types:
            message = f"`trusted_types` are of skops: a {model.format} file names no types"
            yield loaded.finding((*place, "trusted_types"), "model-types", message, "remove `trusted_types`")


def _rows(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The rows are of data sets that the policy has, and the hold-out is none of the training rows."""
    datasets = loaded.policy.datasets
    for place, _, model in _models(loaded):
        for side, rows in _sides(model):
            if rows.dataset is not None and rows.dataset not in datasets:
                message = f"the policy has no data set {rows.dataset}"
                fix = nearest(rows.dataset, datasets)
                yield loaded.finding((*place, "trained_on", side), "model-rows", message, fix)
        if model.trained_on.train == model.trained_on.holdout:
            yield loaded.finding(
                (*place, "trained_on", "holdout"),
                "model-holdout",
                "the hold-out is what the model was trained on, so nobody is outside of it",
                "name rows of people that were kept back from training",
            )


def _columns(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Each column has one part, and of a data set it is one that the policy names."""
    for place, _, model in _models(loaded):
        if model.target in model.features:
            message = f"{model.target} is a feature and the target"
            yield loaded.finding((*place, "features"), "model-target", message, "remove it from `features`")
        for name in model.sensitive:
            if name not in model.features:
                yield loaded.finding(
                    (*place, "sensitive"),
                    "model-sensitive",
                    f"the model does not take {name}, so it cannot be asked for it",
                    nearest(name, model.features),
                )
        named = dict.fromkeys([*model.features, model.target, *([model.subject] if model.subject else [])])
        for side, rows in _sides(model):
            data = loaded.policy.datasets.get(rows.dataset or "")
            for name in named if data else ():
                if data and name not in data.columns:
                    message = f"data set {rows.dataset} has no column {name} in the policy"
                    fix = f"name {name} under `columns:` of {rows.dataset} (it may be dropped)"
                    yield loaded.finding((*place, "trained_on", side), "model-column", message, fix)


def _bounds(loaded: LoadedPolicy) -> Iterator[Finding]:
    """Bounds can bite: one at least, and what was asked about is looked at."""
    for place, _, model in _models(loaded):
        if not model.bounds.of():
            message = "every model gets through: there is no bound"
            yield loaded.finding(
                (*place, "bounds"), "model-bounds", message, "remove `bounds`, whose defaults deny"
            )
        if model.sensitive and model.bounds.inference_max is None:
            message = "`sensitive` values are guessed, and nothing is made of it"
            fix = "write `inference_max`, or remove `sensitive`"
            yield loaded.finding((*place, "sensitive"), "model-inference", message, fix)


def _licence(loaded: LoadedPolicy) -> Iterator[Finding]:
    """The Hub takes words that it knows, and `other` only with a name."""
    for place, _, model in _models(loaded):
        if model.licence not in LICENCES:
            message = f"{model.licence} is no licence that the Hugging Face Hub knows"
            fix = f"{nearest(model.licence, sorted(LICENCES))}, or `other` with a `licence_name`"
            yield loaded.finding((*place, "licence"), "model-licence", message, fix)
        if (model.licence == "other") != (model.licence_name is not None):
            message = "`licence: other` and `licence_name` go together"
            fix = "write both, or the identifier alone"
            yield loaded.finding((*place, "licence"), "model-licence", message, fix)


def _name(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A release is known by its policy and its name: no two things share one."""
    asked = loaded.policy.differential_privacy
    taken = {*loaded.policy.datasets, *(asked.queries if asked else ())}
    for place, name, _ in _models(loaded):
        if name in taken:
            message = f"{name} is the name of a data set or a query, too"
            yield loaded.finding(place, "model-name", message, "give the model a name of its own")


def _destination(loaded: LoadedPolicy) -> Iterator[Finding]:
    """A model is files: it needs a folder."""
    release = loaded.policy.release
    for place, _, model in _models(loaded):
        if model.destination is None and not (release and isinstance(release.destination, FileDestination)):
            message = "there is no folder that the model is shared in"
            yield loaded.finding(place, "model-destination", message, "add `destination: <folder>`")


RULES: tuple[Callable[[LoadedPolicy], Iterator[Finding]], ...] = (
    _trust,
    _rows,
    _columns,
    _bounds,
    _licence,
    _name,
    _destination,
)
"""What `check` runs of this section."""
