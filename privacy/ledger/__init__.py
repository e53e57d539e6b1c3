"""The database of record: releases, privacy budgets and evidence."""
