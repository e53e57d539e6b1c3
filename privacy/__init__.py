"""The privacy methods: no Airflow in here, Arrow in and Arrow out, usable and testable alone."""
