"""The card of a synthetic release: that its rows are made up, after what, how, and what protects people in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from airflow_veil.privacy.release.card import Card, Picture, Section, moment, time_of

LIMITS = (
    "Made up: no row is a real person's.",
    "A row may be like somebody's by chance, or, without a guarantee, because the model kept something of that person.",
    "What the model did not see, or saw rarely, is not in it: rare cases and long tails are worse than they look.",
    "Do not decide about a real person by these rows, and do not join them to rows of real people.",
    "A figure that is computed from it is an estimate, and off by more than one that is computed from the real rows.",
    "Use it for what it was made for, and until it expires.",
)
"""What holds for every synthetic release."""
WORDS = {
    "numbers": "drawn, after what the model learned of this column and the others",
    "categories": "drawn from a list of values, as the model learned how they go together",
    "dates": "drawn, after what the model learned of this column and the others",
    "invented": "invented, without a look at the data",
    "key": "a running number of no meaning",
    "reference": "the running number of a made-up row of another table",
}
"""What is done for each word of a column, in plain words."""
FAKER = "invented within what the policy says of the column, without a look at the data"
METHODS = {
    "gaussian_copula": "a Gaussian copula (SDV)",
    "ctgan": "CTGAN, a generative network (SDV)",
    "tvae": "TVAE, a variational autoencoder (SDV)",
    "hma": "HMA, for related tables (SDV)",
    "par": "PAR, for sequences of rows (SDV)",
    "mst": "MST, noisy counts on a tree of columns",
    "aim": "AIM, noisy counts chosen round by round",
    "faker": "Faker, by the policy alone",
}
"""The methods, in words."""
MEASURED = {
    "singling_out": "singling people out",
    "linkability": "linking two sources",
    "inference": "inferring secrets",
    "membership": "telling who was learned from",
    "matches": "repeated values and rows",
    "nearest": "distances to real rows",
    "fidelity": "likeness to real rows",
    "usefulness": "use for a model",
    "fairness": "fairness of such a model",
}
"""What an evaluation measures, in words."""

BOUNDS = {
    "singling_out_max": "Risk of being singled out",
    "linkability_max": "Risk of being linked",
    "inference_max": "Risk of secrets being inferred",
    "membership_tpr_max": "People told to be among those who were learned from, at 1 % of false alarms",
    "matches_max": "Values and rows repeated beyond those of people who were not learned from",
    "quality_min": "Quality (SDMetrics)",
    "detection_max": "How well made-up rows are told from real ones; 0.5 is guessing",
    "usefulness_min": "Of what a model of real rows tells, the share that one of made-up rows tells",
    "fairness_gap_max": "By how much more a model of made-up rows treats groups differently",
}
"""The bounds of an evaluation, in words."""


def card_of(manifest: Mapping[str, Any]) -> Card:
    """The card of a published synthetic release, from its manifest."""
    return Card(
        title=f"{manifest['dataset']} of {manifest['policy']['name']} (synthetic)",
        release_id=manifest["release_id"],
        sections=(
            _origin(manifest),
            _columns(manifest["synthetic"]),
            _protection(manifest),
            _evaluation(manifest),
            time_of(manifest),
            Section(title="Limits", said=_limits(manifest["synthetic"])),
        ),
    )


def _origin(manifest: Mapping[str, Any]) -> Section:
    told, source, interval = manifest["synthetic"], manifest["source"], manifest["interval"]
    rows = [
        ("Made after", f"{source['namespace']} {source['name']}" if source else "nothing: no row was read"),
        ("How", METHODS.get(told["method"], told["method"])),
        ("Rows", f"{manifest['output']['rows']:,}"),
        ("Answers for it", manifest["policy"]["owner"]),
        ("Made by", manifest["made_by"]),
        ("Model", f"{told['model']['id']}, SHA-256 of its sealed bytes {told['model']['digest']}"),
        ("Specification", told["specification"]),
    ]
    if interval["start"] and interval["end"]:
        rows.insert(1, ("Data of", f"{moment(interval['start'])} to {moment(interval['end'])}"))
    if len(told["tables"]) > 1:
        rows.append(
            ("Belongs together with", ", ".join(each for each in told["tables"] if each != told["table"]))
        )
    if told["given"]:
        rows.append(("The same in every row", ", ".join(told["given"])))
    return Section(
        title="Where it comes from",
        said=("These rows are made up. No row is a real person's.",),
        columns=("What", "Which"),
        rows=tuple(rows),
    )


def _columns(told: Mapping[str, Any]) -> Section:
    learned = ("numbers", "categories", "dates")
    rows = tuple(
        (name, FAKER if told["method"] == "faker" and word in learned else WORDS.get(word, word))
        for name, word in told["columns"].items()
    )
    return Section(title="How each column is made", columns=("Column", "How"), rows=rows)


def _protection(manifest: Mapping[str, Any]) -> Section:
    told = [manifest["synthetic"]["guarantee"]]
    told += manifest.get("differential_privacy", {}).get("words", ())
    if not manifest["synthetic"]["private"]:
        told.append("It spends no privacy budget.")
    return Section(title="What protects people", said=tuple(told))


def _evaluation(manifest: Mapping[str, Any]) -> Section:
    title, held = "How it was looked at", manifest.get("evaluation")
    if not held:
        return Section(title=title, said=("The policy asks for no evaluation.",))
    done = [MEASURED.get(word, word) for word, measured in held["measured"].items() if measured]
    compared = (
        "Before it was published, it was compared with the rows that the model learned from, and with others"
    )
    text = [f"{compared} that it never saw: {', '.join(done)}. It kept to all bounds of the policy."]
    figures = held.get("figures")
    if not figures:
        text.append("The scores themselves are not shown: they are computed on rows of real people.")
        columns = ("Bound", "Which") if _bounds(held) else ()
        return Section(title=title, said=tuple(text), columns=columns, rows=_bounds(held))
    text.append("The scores are computed on rows of real people, and shown since the policy says so.")
    return Section(
        title=title,
        said=tuple(text),
        columns=("Figure", "Of this release"),
        rows=(*_figures(figures), *_bounds(held)),
        pictures=tuple(_pictures(held["charts"])) if "charts" in held else (),
    )


def _pictures(told: Mapping[str, Any]) -> Iterator[Picture]:
    """A chart of each column, of how pairs of them go together, and of attacks."""
    from airflow_veil.privacy.evaluation import charts
    from airflow_veil.privacy.evaluation.shown import Shown

    found = Shown.from_dict(told)
    for each in found.distributions:
        yield Picture(
            title=each.column,
            describe=f"Shares of {each.column} in the hold-out and in these rows",
            draw=partial(charts.distribution, each),
        )
    if len(found.associations.columns) > 1:
        yield Picture(
            title="How pairs of columns go together",
            describe="For each pair how much stronger they go together in these rows than in the hold-out",
            draw=partial(charts.associations, found.associations),
            wide=True,
        )
    yield Picture(
        title="Attacks",
        describe="How often attacks were right of people the model learned from, and of others, with intervals",
        draw=partial(charts.attacks, found.attacks, found.confidence),
        wide=True,
    )


def _bounds(held: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The bounds of the policy that the release kept to."""
    return tuple(
        (BOUNDS.get(word, word), f"at {'least' if word.endswith('_min') else 'most'} {bound:g}")
        for word, bound in held.get("bounds", {}).items()
    )


def _figures(figures: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The figures that are one number each, and the upper ends of intervals."""
    rows = []
    for word, value in figures.items():
        several = value if isinstance(value, list) else [value]
        for each in several:
            if not isinstance(each, Mapping):
                continue
            of = each.get("column") or each.get("name") or ""
            rows += [
                (f"{MEASURED.get(word, word)} {of}, {name}".replace(" ,", ","), f"{number:.3f}")
                for name, number in _numbers(each)
            ]
    return tuple(rows)


def _numbers(figures: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    told = {name: figures.get(name) for name in ("risk", "high", "quality", "diagnostic", "share")}
    told["detection"] = (figures.get("detection") or {}).get("high")
    told |= {f"added {name.replace('_', ' ')}": gap for name, gap in (figures.get("added") or {}).items()}
    for name, number in told.items():
        if isinstance(number, int | float):
            yield name, number


def _limits(told: Mapping[str, Any]) -> tuple[str, ...]:
    return (*LIMITS, *([told["licence"]] if told.get("licence") else []))
