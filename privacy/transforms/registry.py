"""The one registry: every treatment a policy can name, under its YAML word."""

from __future__ import annotations

from typing import TypeVar

from airflow_veil.privacy.errors import InternalError
from airflow_veil.privacy.transforms.base import RowFilter, Transform
from airflow_veil.privacy.transforms.constant import Constant
from airflow_veil.privacy.transforms.date_shift import DateShift
from airflow_veil.privacy.transforms.drop import Drop
from airflow_veil.privacy.transforms.fake import Fake
from airflow_veil.privacy.transforms.fpe import Fpe
from airflow_veil.privacy.transforms.generalize import Generalize
from airflow_veil.privacy.transforms.keep import Keep
from airflow_veil.privacy.transforms.mask import Mask
from airflow_veil.privacy.transforms.noise import Noise
from airflow_veil.privacy.transforms.null import Null
from airflow_veil.privacy.transforms.redact import Redact
from airflow_veil.privacy.transforms.sample import Sample
from airflow_veil.privacy.transforms.token import Token
from airflow_veil.privacy.transforms.where import Where

T = TypeVar("T", Transform, RowFilter)


def _by_word(*classes: type[T]) -> dict[str, type[T]]:
    words = {cls.word: cls for cls in classes}
    if len(words) != len(classes):
        raise InternalError("two treatments claim the same word")
    return words


TRANSFORMS = _by_word(
    Keep, Drop, Null, Constant, Mask, Token, Fpe, Generalize, DateShift, Noise, Fake, Redact
)
"""Treatments of a column."""

ROW_FILTERS = _by_word(Where, Sample)
"""Treatments of rows."""
