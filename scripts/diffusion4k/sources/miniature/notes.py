"""What is noted of the sources that are made here, and how such notes are told from all others.

They travel with the numbers to the report. A note is known by how it begins, with the source's
name, never by a word in it: notes quote folders, files and models of people's own, "random seeds"
among them.
"""

import re

DATASET = (
    "{} is a miniature: crops of the photographs in scikit-image and scikit-learn, those"
    " of the evaluations from the training photographs, with their captions: scores measure"
    " memorising"
)
PHOTOGRAPHS = (
    "{} is a miniature: crops of the photographs in scikit-image and scikit-learn, in colour and in"
    " grey, and seven photographs that no training saw"
)
PIPELINE = (
    "{} is a miniature pipeline: VAE pretrained on a dozen photographs, random text encoders, a"
    " transformer that draws the same for every prompt until it is fine-tuned"
)
NETWORK = "{} is a miniature network, weights random: its scores mean nothing beyond this run"
# how they begin, also of several names together; the wording behind it may change
_BEGINNING = re.compile(r"[\w-]+(, [\w-]+)*(: each)? is a miniature\b")


def plumbing(note: str) -> bool:
    """Whether a note says that what it goes with is miniature or random.

    What rests on such proves the plumbing and says nothing about the paper.
    """
    return _BEGINNING.match(note) is not None
