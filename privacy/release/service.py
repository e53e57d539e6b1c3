"""The life of a release, as tasks and commands call it.

    begin ──► classify ──► sanitize, or run_step four times ──► validate, assess_staged ──► gate ──► publish
    rollback, scrub                           anonymize, where the policy asks for it ──┘

Each function is one task's work. It can be killed anywhere and called again, by a retry or by two workers at once:
rows are staged apart and committed whole, and the ledger says what was done. Between tasks travel a `Reference` and
the ledger's draft of the manifest; never rows.
"""

from __future__ import annotations

from airflow_veil.privacy.release.anonymize import anonymize
from airflow_veil.privacy.release.assess import assess_staged
from airflow_veil.privacy.release.begin import begin
from airflow_veil.privacy.release.classify import classify
from airflow_veil.privacy.release.done import Done
from airflow_veil.privacy.release.gate import Gated, approve, gate, is_held, reject, unanswered
from airflow_veil.privacy.release.planned import planned_publication, planned_step, planned_validation
from airflow_veil.privacy.release.planning import plan_for
from airflow_veil.privacy.release.publish import publish, rollback
from airflow_veil.privacy.release.scrub import Scrubbed, scrub
from airflow_veil.privacy.release.treat import run_step, sanitize
from airflow_veil.privacy.release.validate import validate

__all__ = [
    "Done",
    "Gated",
    "Scrubbed",
    "anonymize",
    "approve",
    "assess_staged",
    "begin",
    "classify",
    "gate",
    "is_held",
    "plan_for",
    "planned_publication",
    "planned_step",
    "planned_validation",
    "publish",
    "reject",
    "rollback",
    "run_step",
    "sanitize",
    "scrub",
    "unanswered",
    "validate",
]
