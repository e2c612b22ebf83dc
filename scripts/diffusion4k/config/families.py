"""The families of columns, and which are measured on what."""

NAMES = (
    "fid",
    "alignment",
    "texture",
    "distance",
    "quality",
    "correlation",
    "reconstruction",
    "sizes",
    "training",
    "efficiency",
)
# measured on generated images, and so in need of an evaluation
GENERATED = ("fid", "alignment", "texture", "distance", "quality")
# … of which those with a row an image can be compared pair by pair
PAIRED = ("alignment", "texture", "distance", "quality")
# the rows that a table of correlations with human ratings can have -> the scores that they need
RATED = {"glcm": "texture", "cr": "texture", "musiq": "quality", "maniqa": "quality"}
