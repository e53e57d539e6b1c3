"""One figure of a benchmark, and how it stands to what is asked of it."""

from __future__ import annotations

from typing import Any

Figure = dict[str, Any]


def figure(
    name: str, value: float, unit: str, *, floor: float | None = None, aim: float | None = None
) -> Figure:
    """A figure that stands by itself; `floor` is the worst that is acceptable."""
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": floor,
        "aim": aim,
        "ratio_to": None,
        "ratio": None,
    }


def verdict(row: Figure) -> str:
    """`aim`, `floor` or `missed`; empty where nothing is asked. Less is better where the aim is below the floor."""
    floor, aim, value = row["floor"], row["aim"], row["value"]
    sign = -1 if floor is not None and aim is not None and aim < floor else 1
    if aim is not None and sign * value >= sign * aim:
        return "aim"
    if floor is None:
        return ""
    return "floor" if sign * value >= sign * floor else "missed"
