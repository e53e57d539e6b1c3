"""One operator per step of a release; thin: arguments in, privacy/ does the work, evidence out."""
