"""The plan: a policy bound to a source's schema; pure data that everything else is read off."""
