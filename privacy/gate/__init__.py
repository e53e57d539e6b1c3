"""Whether a release may go out: a pure decision, who approved it, and how figures change from release to release."""
