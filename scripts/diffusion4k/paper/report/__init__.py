"""The report of a run: the answer first, then pictures, tables, costs and what they rest on."""
