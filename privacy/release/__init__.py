"""A release from source to publication: begun, staged, validated, committed, rolled back."""
