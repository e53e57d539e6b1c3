"""The database of record: releases and evidence."""
