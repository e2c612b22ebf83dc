"""Sections `sources`, `splits` and `evaluations`."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, WithJsonSchema, model_validator

from diffusion4k.config.keys.types import (
    ABSENT,
    Count,
    Least,
    Line,
    Name,
    Section,
    Shape,
    Side,
    Where,
    matching,
)

# Where a source can come from, the winner first: what you have beats what is made or fetched.
ORIGINS = ("path", "make", "url", "hub", "by_hand")


def _flag_value(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("should be a number or a text")
    return value


FlagValue = Annotated[
    Any, AfterValidator(_flag_value), WithJsonSchema({"type": ["number", "string"]})
]


class Source(Section):
    """Where one data set, pipeline or network comes from."""

    hub: matching("[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", "a repository is owner/name") = ABSENT
    """Hugging Face repository, `owner/name`; downloaded into the hub's cache (`HF_HOME`)"""
    url: matching("https?://.+", "an address begins with https:// or http://") = ABSENT
    """address of one file"""
    path: Where = ABSENT
    """folder or file that you have; used where it lies"""
    by_hand: str = ABSENT
    """where a person accepts the licence and downloads it, for what no program may fetch; then
    `path` says where it lies"""
    make: str = ABSENT
    """what `scripts/make_miniature.py` builds"""
    options: dict[str, FlagValue] = ABSENT
    """its flags"""
    type: Literal["model", "dataset", "kernel"] = "model"
    """kind of repository, for `hub`"""
    revision: str = ABSENT
    """commit, for `hub`; a branch or tag works and is noted in the manifest with the commit that
    it meant"""
    gated: bool = False
    """whether the hub asks for an accepted licence and `HF_TOKEN`"""
    only: list[str] = ABSENT
    """glob patterns of the repository's files to take"""
    ignore: list[str] = ABSENT
    """glob patterns of the repository's files to leave"""
    sha256: matching("[0-9a-f]{8,64}", "8 to 64 hexadecimal digits, small letters") = ABSENT
    """SHA-256 (or its first digits) of the one file behind `url` or `path`; without it nothing is
    checked or resumed"""

    @model_validator(mode="after")
    def _has_an_origin(self) -> Self:
        if not self.model_fields_set & set(ORIGINS):
            raise ValueError(f"needs one of {', '.join(ORIGINS)}")
        return self


class Split(Section):
    """A captioned image folder, and what an intact one holds."""

    source: Name
    """the source it lies in"""
    folder: Where
    """folder with images and `metadata.jsonl`; `.` is the whole source"""
    captioned: bool = True
    """`false`: no `metadata.jsonl`, every image below the folder counts. Such a split trains VAEs
    only"""
    count: Count = ABSENT
    """number of images of an intact copy; any other is an error. Unset: not known, where there are
    no captions"""
    min_side: Least = ABSENT
    """least length of the shorter side in pixels, or least [height, width]; unset where the data
    set promises none"""
    label: Line
    """name in Table 9"""
    captions: Name = ABSENT
    """one of `captions`, in place of the folder's; it then needs no `metadata.jsonl`"""


class Evaluation(Section):
    """A benchmark: what is generated and scored."""

    split: Name
    """the split with prompts and reference photographs"""
    size: Shape = ABSENT
    """size of the images in pixels: the side of a square, or [height, width]"""
    height: Side = ABSENT
    """of the images in pixels, with `width`; both win over `size`"""
    width: Side = ABSENT
    """of the images in pixels, with `height`"""
    shards: Count
    """jobs that generating and scoring are split into"""
    crop: Count
    """side in pixels of the crops at full resolution that patch FID and KID see"""
    crops: Count
    """how many of them along each side of an image"""

    @model_validator(mode="after")
    def _has_a_size(self) -> Self:
        sides = self.model_fields_set & {"height", "width"}
        if len(sides) == 1:
            raise ValueError("height and width go together")
        if not sides and "size" not in self.model_fields_set:
            raise ValueError("needs size, or height and width")
        return self
