"""What the rules ask: file names, flags and requests, as plain functions of the configuration.

One module a rule file, of the same name (of what looks over a whole run: in `run`, beside this);
one asks another for paths and names of what it reads.
`keys` (the slice of the configuration that a job uses), `code` (its digest) and `resources` (what
it asks for) serve every rule. Functions take the resolved configuration first, then a name or a
job's wildcards.
"""
