"""What ciphers ask of a policy; kept apart from them, so that a policy is checked without them."""

from __future__ import annotations

# SP 800-38G revision 1, section 5.1: smaller domains can be searched.
MIN_DOMAIN = 1_000_000
"""The fewest values that FF1 may have to choose from."""
