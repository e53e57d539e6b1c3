"""`models` in a policy: a trained model, the rows it was trained on, and what attacks on it may reach."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from airflow_veil.privacy.described import Described
from airflow_veil.privacy.policy.erasure import Exempt
from airflow_veil.privacy.policy.gate import Share
from airflow_veil.privacy.policy.names import Name

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hex."""
Text = Annotated[str, StringConstraints(min_length=10)]
"""A sentence at least."""
Columns = Annotated[tuple[str, ...], Field(min_length=1)]
"""Names of columns."""


class ModelRows(Described):
    """Rows that a model was trained on, or was not."""

    dataset: Name | None = None
    """A data set of this policy; its rows as the source has them, before any treatment."""
    uri: Annotated[str, StringConstraints(min_length=1)] | None = None
    """A Parquet file or a folder of them. For CSV name a data set, which says what the columns are."""

    @model_validator(mode="after")
    def _one(self) -> ModelRows:
        if (self.dataset is None) == (self.uri is None):
            raise PydanticCustomError("model_rows", "name either a `dataset` of the policy or a `uri`")
        return self


def _uri(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


class TrainedOn(Described):
    """Who is in the model and who is not: both are drawn from the same people, at random."""

    train: Annotated[ModelRows, BeforeValidator(_uri)]
    """The rows that the model was trained on."""
    holdout: Annotated[ModelRows, BeforeValidator(_uri)]
    """Rows of other people, which it was not trained on."""


class ModelBounds(Described):
    """What attacks on a model may reach. Figures are upper ends of 95 % intervals, of the attack that does best."""

    membership_tpr_max: Share | None = 0.05
    """The share of the people in the model who are told to be in it, where 1 % of others are told so by mistake."""
    membership_tpr_strict_max: Share | None = 0.03
    """The same where 0.1 % are. It takes 1,000 people in the hold-out; null where nobody has to know."""
    membership_advantage_max: Share | None = 0.1
    """By how much more often people in the model are told to be in it than others, at the attack's own threshold."""
    inference_max: Share | None = 0.1
    """By how much more often a sensitive value is guessed of people in the model than of others."""
    stored_rows_max: Share | None = 0.0
    """The share of training rows that lie in the artefact as they are, as in nearest neighbours or support vectors."""

    def of(self) -> dict[str, float]:
        """The bounds that are set, by the word of the figure."""
        return {
            word: value for word in ModelBounds.model_fields if (value := getattr(self, word)) is not None
        }


class ModelProcess(Described):
    """What the process may use that the model is loaded in. It ends with the task."""

    memory_mb: Annotated[int, Field(ge=512)] = 4096
    """Address space, in MiB."""
    seconds: Annotated[int, Field(ge=1)] = 3600
    """How long it may run."""


class ModelCardWords(Described):
    """What the model card tells beside what it always does. Figures are computed on private rows."""

    show_attacks: bool = False
    """Whether it tells how far attacks got; if not, it tells the bounds that were kept."""
    show_utility: bool = False
    """Whether it tells accuracy, or the mean absolute error, on the hold-out."""
    tags: tuple[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:-]*$", max_length=96)], ...
    ] = ()
    """Further tags for the Hub."""
    language: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], ...] = ("en",)
    """The languages of what it says (ISO 639)."""


class ModelRelease(Described):
    """One model that is shared, if attacks on it stay within bounds."""

    artefact: Annotated[str, StringConstraints(min_length=1)]
    """The file of the model. What lies beside it is not looked at, so it is not shared."""
    format: Literal["skops", "joblib", "pickle"] = "skops"
    """How it is written. A joblib or pickle file is code: it is loaded only with its digest under `trusted_digest`."""
    trusted_digest: Digest | None = None
    """SHA-256 of the artefact, from who made it and is trusted; another file is not loaded."""
    trusted_types: tuple[str, ...] = ()
    """Types of a skops file that are loaded beside those that skops trusts by itself."""
    trained_on: TrainedOn
    """The rows it was trained on, and a hold-out."""
    features: Columns
    """The columns that it takes."""
    target: str
    """The column that it tells."""
    subject: str | None = None
    """The column that says whose a row is; the one of the data set where not said. Else each row is somebody."""
    sensitive: tuple[str, ...] = ()
    """Features whose values an attacker wants to know of people in the model."""
    bounds: ModelBounds = ModelBounds()
    """What attacks may reach. Those that are not written stand at their defaults."""
    shadows: Annotated[int, Field(ge=16, le=512, multiple_of=8)] = 16
    """How many models are fitted anew to learn what being in it does; from 64 each row has its own variance."""
    process: ModelProcess = ModelProcess()
    """What loading, fitting and asking it may use."""
    destination: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The folder that it is shared in; the one of `release` where not said."""
    after_erasure: Exempt | None = None
    """Why it may stay shared when somebody is erased whom it may have learned of: `{exempt: reason}`.

    Without it, it is withdrawn until another is tested and shared."""
    licence: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$")]
    """The identifier of its licence on the Hugging Face Hub, such as apache-2.0; `other` needs `licence_name`."""
    licence_name: str | None = None
    """The name of the licence, where the Hub has no identifier for it."""
    licence_link: str | None = None
    """Where that licence is, for its card."""
    description: Text
    """What it does, for its card."""
    intended_use: Text
    """What it is for, for its card."""
    limits: Text
    """What it must not be used for, and where it fails, for its card."""
    card: ModelCardWords = ModelCardWords()
    """What its card tells."""
