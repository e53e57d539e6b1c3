"""The policy file: its model, its loading with every mistake placed, its checks, its JSON Schema."""
