"""The words for what a recoding costs; `metrics.py` says what each means."""

from __future__ import annotations

from typing import Literal, TypeAlias

Quality: TypeAlias = Literal[
    "loss", "loss_rank", "entropy", "entropy_suppressed", "discernibility", "discernibility_monotone"
]
