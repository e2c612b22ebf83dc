"""The configuration: its keys, how it is resolved, what its entries are to each other."""
