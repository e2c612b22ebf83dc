"""The one exception that is written for people, and advice that several places give."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one line. Scripts print it and exit 1."""


# what to do with a model that diffusers cannot load
OTHER_CODE = "sample it with its own code and give the pictures: models: {…: {images: FOLDER}}"
