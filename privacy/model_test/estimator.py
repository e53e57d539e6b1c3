"""A scikit-learn style model as it is asked: runs only in the process that loads it.

What it says of a row's own target becomes one number, the signal, whose distribution over models is near to normal: for
a probability its logit, log p(y) less log of all others' (Carlini et al., "Membership inference attacks from first
principles", 2022, section IV.C).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from airflow_veil.privacy.model_test.question import Array, Outputs, Question, candidates

_LEAST = 1e-9
"""Probabilities are told apart down to this: a tree says 0 and 1, whose logits have no number."""


class Estimator:
    """A loaded model, and the rows it is asked about.

    Args:
        model: The model; anything with `predict`.
        question: What is asked.
    """

    def __init__(self, model: Any, question: Question) -> None:
        self._model: Any = _on_one_core(model)
        self._question = question
        frame = question.rows.select(list(question.features)).to_pandas()
        named = getattr(model, "feature_names_in_", None)
        if named is not None and sorted(named) != sorted(question.features):
            raise KeyError("features")
        numeric = all(kind.kind in "biuf" for kind in frame.dtypes)
        self.frame = frame[list(named)] if named is not None else frame
        self.rows: Any = self.frame if named is not None or not numeric else frame.to_numpy()
        self.truth: Array = question.rows.column(question.target).to_pandas().to_numpy()
        self.outputs = _outputs(model, self.truth)

    def said(self, model: Any = None, rows: Any = None, truth: Array | None = None) -> tuple[Array, Array]:
        """Signal and loss of each row."""
        model = self._model if model is None else model
        rows = self.rows if rows is None else rows
        truth = self.truth if truth is None else truth
        if self.outputs is Outputs.VALUES:
            error = np.asarray(model.predict(rows), np.float64).reshape(len(truth)) - truth
            return error, error**2
        if self.outputs is Outputs.LABELS:
            right = (np.asarray(model.predict(rows)) == truth).astype(np.float64)
            return 2 * right - 1, 1 - right
        told = np.asarray(getattr(model, self.outputs.value)(rows), np.float64)
        if self.outputs is Outputs.PROBABILITIES:
            return _of_probabilities(told, _places(model, truth))
        return _of_margins(told, _places(model, truth))

    def error(self) -> Array:
        """How wrong each row's answer is: 0 or 1, or the absolute error."""
        told = np.asarray(self._model.predict(self.rows))
        if self.outputs is Outputs.VALUES:
            return np.asarray(np.abs(told.reshape(len(self.truth)) - self.truth), np.float64)
        return np.asarray(told != self.truth, np.float64)

    @property
    def refits(self) -> bool:
        """Whether the same model can be fitted on other rows."""
        from sklearn.base import clone

        try:
            return hasattr(clone(self._model), "fit")
        except TypeError:
            return False

    def shadows(self) -> Array:
        """The signals of the same model, fitted anew on each set of rows."""
        from sklearn.base import clone

        inside = self._question.inside
        found = np.empty(inside.shape)
        for number, mine in enumerate(inside):
            shadow = _on_one_core(clone(self._model)).fit(self._some(mine), self.truth[mine])
            found[number] = self.said(shadow)[0]
        return found

    def tried(self, name: str) -> Array:
        """The loss that each value of a feature would have, for the rows that are asked about."""
        asked = self._question.asked
        if asked is None:
            return np.empty((0, 0))
        values, _ = candidates(self._question.rows, name)
        rows, truth = self.frame.iloc[asked], self.truth[asked]
        found = np.empty((len(asked), len(values)))
        for number, value in enumerate(values):
            other = rows.copy()
            other[name] = np.full(len(asked), value, dtype=rows[name].dtype)
            changed = other if self.rows is self.frame else other.to_numpy()
            found[:, number] = self.said(rows=changed, truth=truth)[1]
        return found

    def _some(self, mine: Array) -> Any:
        return self.rows.loc[mine] if self.rows is self.frame else self.rows[mine]


def _outputs(model: Any, truth: Array) -> Outputs:
    from sklearn.base import is_classifier, is_regressor

    try:
        numbers, classes = is_regressor(model), is_classifier(model)
    except (AttributeError, TypeError):
        numbers = classes = False
    if numbers or (not classes and not hasattr(model, "classes_") and truth.dtype.kind == "f"):
        return Outputs.VALUES
    told = (each for each in (Outputs.PROBABILITIES, Outputs.MARGINS) if hasattr(model, each.value))
    return next(told, Outputs.LABELS) if hasattr(model, "classes_") else Outputs.LABELS


def _places(model: Any, truth: Array) -> Array:
    """Which of the model's classes each row has; -1 for one that it does not know."""
    classes = list(model.classes_)
    place = {each: number for number, each in enumerate(classes)}
    return np.array([place.get(each, -1) for each in truth], np.int64)


def _of_probabilities(told: Array, place: Array) -> tuple[Array, Array]:
    own = np.where(place >= 0, told[np.arange(len(told)), place], 0.0)
    others = told.sum(axis=1) - own
    own, others = np.clip(own, _LEAST, 1.0), np.clip(others, _LEAST, 1.0)
    return np.log(own) - np.log(others), -np.log(own)


def _of_margins(told: Array, place: Array) -> tuple[Array, Array]:
    if told.ndim == 1:
        margin = np.where(place == 1, told, np.where(place == 0, -told, -np.abs(told)))
    else:
        own = np.where(place >= 0, told[np.arange(len(told)), place], told.min(axis=1))
        others = told.copy()
        others[np.arange(len(told))[place >= 0], place[place >= 0]] = -np.inf
        margin = own - others.max(axis=1)
    return margin, np.logaddexp(0.0, -margin)


def _on_one_core(model: Any) -> Any:
    """The model without processes of its own, which the limits would not let it have."""
    if not hasattr(model, "get_params"):
        return model
    many = {
        name for name, value in model.get_params().items() if name.rpartition("__")[2] == "n_jobs" and value
    }
    return model.set_params(**dict.fromkeys(many, 1)) if many else model
