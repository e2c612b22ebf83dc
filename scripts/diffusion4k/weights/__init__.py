"""Loading of weights: from safetensors alone."""

import re
from pathlib import Path

from diffusion4k.files import walk

# for every from_pretrained: nothing is downloaded, and no pickle is opened
SAFELY = {"local_files_only": True, "use_safetensors": True}


def variant(folder: str | Path) -> str | None:
    """`bf16` or `fp16` where some part has its weights under that name only (as Sana's 4K).

    For from_pretrained, of a pipeline's folder or of one part's.
    """
    parts: dict[Path, set[str]] = {}
    for file in walk(folder, hidden=False):
        if file.suffix == ".safetensors":
            name = re.search(r"\.(bf16|fp16)[.-]", file.name)
            parts.setdefault(file.parent, set()).add(name[1] if name else "")
    only = sorted(name for names in parts.values() if "" not in names for name in names)
    return only[0] if only else None
