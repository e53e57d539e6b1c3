"""The card of a model in the form of the Hugging Face Hub: `README.md`, YAML in front, then sections.

It is made of the policy's words and the outcome. Figures that were computed on private rows stay in the evidence: a
card tells them only where the policy says so. Source: the Hub's specification of model card metadata; Mitchell et al.,
"Model cards for model reporting", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_veil.privacy.release.card import plain

if TYPE_CHECKING:
    from airflow_veil.privacy.model_test.report import Attacked
    from airflow_veil.privacy.policy.model_release import ModelRelease
    from airflow_veil.privacy.release.model_release import ModelDone
    from airflow_veil.privacy.risk.attacks.attack import Attack

CARD = "README.md"
"""The name that the Hub reads."""
BOUNDS = {
    "membership_tpr_max": "People in the model told to be in it, at 1 % of false alarms",
    "membership_tpr_strict_max": "The same at 0.1 % of false alarms",
    "membership_advantage_max": "Advantage in telling people in the model from others",
    "inference_max": "Advantage in guessing a sensitive value of people in the model",
    "stored_rows_max": "Training rows that lie in the file as they are",
}
"""What each bound is of."""
_TASKS = {False: "tabular-classification", True: "tabular-regression"}
_METRICS = {False: ("accuracy", "Accuracy"), True: ("mae", "Mean absolute error")}
_SPLIT = "holdout"


def words_of(model: ModelRelease, done: ModelDone, *, file: str) -> dict[str, Any]:
    """What a card tells, as plain data for the manifest.

    Args:
        model: The model as the policy has it.
        done: What its test found.
        file: The name of its file beside the card.
    """
    tested, verdict = done.figures, done.verdict
    if tested is None or verdict is None:
        return {}
    told: dict[str, Any] = {
        "file": file,
        "digest": done.digest,
        "format": model.format,
        "type": tested.told.type,
        "libraries": tested.told.libraries,
        "regression": tested.regression,
        "trained_on": model.trained_on.train.dataset or "rows outside of the policy",
        "features": list(model.features),
        "target": model.target,
        "licence": model.licence,
        "licence_name": model.licence_name,
        "licence_link": model.licence_link,
        "language": list(model.card.language),
        "tags": list(model.card.tags),
        "description": model.description,
        "intended_use": model.intended_use,
        "limits": model.limits,
        "outcome": done.outcome.value,
        "bounds": {word: bound for word, bound in model.bounds.of().items() if word in verdict.figures},
        "shadows": tested.shadows,
        "tested": done.tested,
    }
    if model.card.show_attacks:
        told["attacks"] = _attacks(tested)
    if model.card.show_utility:
        told["utility"] = tested.error if tested.regression else 1 - tested.error
    return told


def markdown(manifest: Mapping[str, Any]) -> str:
    """The card, from the manifest of a model's release."""
    import yaml

    front = yaml.safe_dump(_front(manifest), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_body(manifest)}"


def _front(manifest: Mapping[str, Any]) -> dict[str, Any]:
    told = manifest["model"]
    task = _TASKS[told["regression"]]
    tags = ["sklearn", *(["skops"] if told["format"] == "skops" else []), task, *told["tags"]]
    front = {
        "license": told["licence"],
        "license_name": told["licence_name"],
        "license_link": told["licence_link"],
        "language": told["language"],
        "library_name": "sklearn",
        "pipeline_tag": task,
        "tags": list(dict.fromkeys(tags)),
        "model_format": told["format"],
        "model_file": told["file"],
    }
    if "utility" in told:
        metric, name = _METRICS[told["regression"]]
        front["metrics"] = [metric]
        front["model-index"] = [
            {
                "name": manifest["dataset"],
                "results": [
                    {
                        "task": {"type": task},
                        "dataset": {
                            "type": told["trained_on"],
                            "name": told["trained_on"],
                            "split": _SPLIT,
                        },
                        "metrics": [{"type": metric, "value": round(told["utility"], 4), "name": name}],
                    }
                ],
            }
        ]
    return {word: value for word, value in front.items() if value is not None}


def _body(manifest: Mapping[str, Any]) -> str:
    told = manifest["model"]
    sections = {
        "Description": [plain(told["description"])],
        "Intended use": [plain(told["intended_use"])],
        "Limits": [plain(told["limits"])],
        "Training data": [
            _rows_of(told, manifest["policy"]["name"]),
            f"It takes {', '.join(map(plain, told['features']))}, and tells {plain(told['target'])}.",
        ],
        "Privacy test": _privacy(told),
        "How to load it": _loading(told),
        "Who answers for it": [
            f"{plain(manifest['policy']['owner'])}; made by {plain(manifest['made_by'])}."
        ],
    }
    parts = [f"# {plain(manifest['dataset'])}"]
    for title, lines in sections.items():
        parts += [f"## {title}", *lines]
    return "\n\n".join(parts) + "\n"


def _rows_of(told: Mapping[str, Any], policy: str) -> str:
    return f"Rows of {plain(told['trained_on'])}, of the policy {plain(policy)}. They are not shared with the model."


def _privacy(told: Mapping[str, Any]) -> list[str]:
    tried = (
        f"**{told['outcome'].capitalize()}.** Before it was shared the model was attacked: membership by a likelihood"
        f" ratio over {told['shadows']} shadow models, and by its loss; sensitive values by trying them; and its file"
        " was searched for training rows. Upper ends of 95 % intervals are within these bounds:"
    )
    # In an order of their own: the ledger sorts what it keeps, and both make the same card.
    words = [word for word in BOUNDS if word in told["bounds"]]
    bounds = [(BOUNDS[word], f"{100 * told['bounds'][word]:.3g} %") for word in words]
    lines = [tried, _table(("Figure", "At most"), bounds)]
    if "attacks" in told:
        lines.append(
            _table(
                ("Attack", "Found", "95 % interval"),
                [
                    (each["what"], f"{100 * each['estimate']:.3g} %", _interval(each))
                    for each in told["attacks"]
                ],
            )
        )
    lines.append(
        "That these attacks fail does not prove that none succeeds. It is no guarantee as differential privacy is one."
        f" Test `{told['tested'][:12]}` is in the evidence of whom answers for the model."
    )
    return lines


def _loading(told: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in sorted(told["libraries"].items()))
    lines = [f"A `{told['type']}`, tested with {versions}. SHA-256 of `{told['file']}`: `{told['digest']}`."]
    if told["format"] == "skops":
        code = (
            "from skops import io\n\n"
            f'unknown = io.get_untrusted_types(file="{told["file"]}")  # read them before you trust them\n'
            f'model = io.load("{told["file"]}", trusted=unknown)'
        )
        return [*lines, f"```python\n{code}\n```"]
    return [*lines, f"A {told['format']} file is code: load it only if you trust where it comes from."]


def _attacks(tested: Attacked) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in tested.membership:
        for at, interval in (("1 %", each.tpr), ("0.1 %", each.tpr_strict)):
            if interval is not None:
                found.append({"what": f"{each.name}, told at {at} of false alarms", **interval.as_dict()})
        found.append({"what": f"{each.name}, area under the curve", **each.auc.as_dict()})
        found.append(_gain(f"{each.name}, advantage", each.advantage))
    return [*found, *(_gain(guess.members.name, guess.members) for guess in tested.inference)]


def _gain(what: str, attack: Attack) -> dict[str, Any]:
    return {"what": what, "estimate": attack.advantage, "low": attack.low, "high": attack.high}


def _interval(each: Mapping[str, Any]) -> str:
    return f"{100 * each['low']:.3g} % to {100 * each['high']:.3g} %"


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
