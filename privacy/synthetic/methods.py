"""The synthesizer of a method, by the word of the policy. Libraries are imported by the method that needs them.

A method is a module with a class of `Synthesizer`; those that protect people are all behind `private.synthesizer`.
"""

from __future__ import annotations

from importlib import import_module

from airflow_veil.privacy.policy.models import Policy
from airflow_veil.privacy.synthetic.specification import Specification, compiled
from airflow_veil.privacy.synthetic.synthesizer import Synthesizer

_HERE = "airflow_veil.privacy.synthetic"
_METHODS = {
    "gaussian_copula": "sdv_single:SdvTableSynthesizer",
    "ctgan": "sdv_single:SdvTableSynthesizer",
    "tvae": "sdv_single:SdvTableSynthesizer",
    "hma": "sdv_related:SdvRelatedSynthesizer",
    "par": "sdv_sequences:SdvSequenceSynthesizer",
    "mst": "private:synthesizer",
    "aim": "private:synthesizer",
    "faker": "faker:FakerSynthesizer",
}
"""Where the synthesizer of each word is made."""


def synthesizer_of(policy: Policy, name: str) -> Synthesizer:
    """The synthesizer of a synthesis.

    Args:
        policy: A policy that checks.
        name: The name of the synthesis in it.

    Raises:
        SyntheticError: The policy has no such synthesis, or it does not check.
    """
    return synthesizer_for(compiled(policy, name))


def synthesizer_for(specification: Specification) -> Synthesizer:
    """The synthesizer of a specification."""
    module, _, made_by = _METHODS[specification.word].partition(":")
    synthesizer: Synthesizer = getattr(import_module(f"{_HERE}.{module}"), made_by)(specification)
    return synthesizer
