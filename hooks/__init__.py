"""One hook per outside system: storage, key ring, ledger."""
