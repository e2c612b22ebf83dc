"""The miniature's own sources, in the layout of the real ones, made offline from photographs.

Every network here is small and, but for the two VAEs, random: its numbers prove the plumbing and
not the paper. Everything is a function of the seed.
"""
