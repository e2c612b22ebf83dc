"""One picture a pipeline call, from a seed on the CPU; a folder of them that resumes.

Reproduces the released sampling and evaluation scripts. The noise comes from a CPU generator and
the batch is 1, so that a picture depends on model, prompt, seed and settings only.
"""

import gc
import hashlib
import inspect
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from diffusion4k import environment, finite
from diffusion4k.background import one_behind
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.generate.folder import Folder, Picture
from diffusion4k.generate.settings import SamplerSettings
from diffusion4k.images.rounding import to_bytes


class TooLarge(UserError):
    """A picture beyond the GPU's memory or the model's positions; `short` says which."""

    def __init__(self, message: str, short: str):
        super().__init__(message)
        self.short = short


Text = dict[str, torch.Tensor]  # the pipeline's arguments that stand for a prompt


def check_size(pipeline, settings: SamplerSettings) -> None:
    """UserError for a picture off the transformer's grid, or beyond its table of positions."""
    config = getattr(getattr(pipeline, "transformer", None), "config", None)
    token = getattr(config, "patch_size", 1) * pipeline.vae_scale_factor
    settings.check_sides(token)
    most = getattr(config, "pos_embed_max_size", None)
    for name in ("height", "width"):
        if most and getattr(settings, name) > most * token:
            value = getattr(settings, name)
            limit = f"positions for {most * token} px at most"
            raise TooLarge(f"--{name} {value}: this model has {limit}", limit)


@torch.no_grad()
def encode(pipeline, backbone, prompts: Sequence[str], settings: SamplerSettings) -> list[Text]:
    """Each prompt as the pipeline's own encoders make it, on the CPU; `sample` takes it as `text`.

    For a backbone with `encode_text`. In bf16, a prompt of Flux takes 4 MB, one of SD3 1.3 MB.
    """
    device = pipeline._execution_device
    named = backbone.call_arguments(
        t5_tokens=settings.t5_tokens, negative_prompt=settings.negative_prompt
    )

    def encoded(prompt: str, prefix: str) -> Text:
        (text,) = backbone.encode_text(pipeline, [prompt], settings.t5_tokens, device)
        finite.check(f"{pipeline.name_or_path}: the text {prompt!r}, encoded", *text.values())
        names = {"prompt_embeds": "prompt_embeds", "pooled": "pooled_prompt_embeds"}
        return {prefix + name: text[key][None].cpu() for key, name in names.items()}

    guided = "negative_prompt" in named
    negative = encoded(settings.negative_prompt, "negative_") if guided else {}
    return [encoded(prompt, "") | negative for prompt in prompts]


def drop_text_encoders(pipeline) -> None:
    """Free the memory of the text encoders (T5: 9.5 GB in bf16); it can no longer encode then."""
    parts = [name for name in pipeline.components if name.startswith("text_encoder")]
    pipeline.register_modules(**dict.fromkeys(parts))
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def finite_output(pipeline, what: str) -> Iterator[None]:
    """UserError when the VAE decodes, or the pipeline rounds, what is not finite.

    A pipeline rounds NaN to black and infinity to white.
    """

    def check(_module, _inputs, decoded) -> None:
        if isinstance(decoded, torch.Tensor):
            finite.check(what, decoded)

    decoder = getattr(getattr(pipeline, "vae", None), "decoder", None)
    hooks = [decoder.register_forward_hook(check)] if isinstance(decoder, torch.nn.Module) else []
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "invalid value encountered in cast", RuntimeWarning)
            yield
    except RuntimeWarning:
        raise UserError(finite.refusal(what)) from None
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def sample(
    pipeline,
    backbone,
    prompt: str,
    seed: int,
    settings: SamplerSettings,
    on_step: Callable[[], None] | None = None,
    text: Text | None = None,
) -> np.ndarray:
    """One picture of `prompt`: uint8 HWC, `settings.height` x `settings.width`.

    `on_step` is called after each denoising step, by pipelines that report them, and waits for no
    GPU. `text` is what `encode` made of the prompt; without it the pipeline encodes. UserError when
    the GPU's memory is too small, the pipeline refuses what it is asked, or its picture is not
    finite.
    """

    def callback(_pipeline, _step, _timestep, tensors):
        on_step()
        return tensors

    check_size(pipeline, settings)
    wanted = {
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "callback_on_step_end": callback if on_step else None,
    }
    taken = inspect.signature(type(pipeline).__call__).parameters
    arguments = {k: v for k, v in wanted.items() if k in taken and v is not None}
    arguments |= backbone.call_arguments(
        t5_tokens=settings.t5_tokens, negative_prompt=settings.negative_prompt
    )
    if text is None:
        arguments["prompt"] = prompt
    else:
        arguments.pop("negative_prompt", None)
        device = pipeline._execution_device  # which goes through all modules to find it
        arguments |= {name: tensor.to(device) for name, tensor in text.items()}
    if hasattr(backbone, "encode_text"):  # one of ours: its picture may stay on the GPU
        arguments["output_type"] = "pt"
    generator = torch.Generator("cpu").manual_seed(seed)
    sides = {"height": settings.height, "width": settings.width}
    try:
        what = f"{pipeline.name_or_path}: the picture of {prompt!r}, seed {seed}"
        with finite_output(pipeline, what), warnings.catch_warnings():
            # SanaPipeline makes this warning of its VAE's running out of memory, and goes on
            warnings.filterwarnings("error", "(?s).*Try to use VAE tiling")
            picture = pipeline(generator=generator, **sides, **arguments).images[0]
            if isinstance(picture, torch.Tensor):
                finite.check(what, picture)
                picture = to_bytes(picture)
    except ValueError as error:  # how pipelines refuse their input
        raise UserError(f"{type(pipeline).__name__}: {error}") from error
    except (torch.cuda.OutOfMemoryError, UserWarning):
        raise TooLarge(
            f"the GPU's memory is too small for {settings.height} x {settings.width} px in"
            f" {pipeline.dtype}; try {', '.join(memory_knobs(pipeline))}, or a smaller --height and"
            " --width",
            "out of GPU memory",
        ) from None
    pixels = np.asarray(picture)
    if pixels.shape != (settings.height, settings.width, 3):
        raise UserError(
            f"{type(pipeline).__name__} made a picture of {pixels.shape} where"
            f" {settings.height} x {settings.width} px in RGB were asked"
        )
    return pixels


def memory_knobs(pipeline) -> list[str]:
    """What would make a pipeline smaller in memory and is not in use yet, least costly first."""
    vae = getattr(pipeline, "vae", None)
    in_use = {
        "--dtype bfloat16 (generate.dtype)": pipeline.dtype != torch.float32,
        # without a VAE that tiles, this is no knob
        "--vae-tiling (generate.vae_tiling)": getattr(vae, "use_tiling", True),
        "--offload (generate.offload)": bool(getattr(pipeline, "_all_hooks", [])),
    }
    return [knob for knob, used in in_use.items() if not used] or ["a GPU with more memory"]


def digest(prompt: str, seed: int, settings: SamplerSettings, *others: str) -> str:
    """16 hex digits for what a picture is made from; `others`: model, code, dtype, forms."""
    record = json.dumps([prompt, seed, asdict(settings), *others])
    return hashlib.sha256(record.encode()).hexdigest()[:16]


def sample_all(
    load: Callable[[], Any],
    backbone,
    prompts: Sequence[CaptionedImage],
    folder: Folder,
    *,
    settings: SamplerSettings,
    seed_of: Callable[[str], int],
    made_from: Mapping[str, str],
) -> Iterator[Picture]:
    """The picture of each prompt, in order; those that lie in `folder` and fit are not made again.

    `load` gives the pipeline and is called only if there is work; `seed_of` maps a prompt's id to
    its seed; `made_from` names the model, code and precision. All texts are encoded first, so that
    the text encoders are out of the GPU's memory before the first picture. A picture is saved while
    the next is sampled.
    """
    keys = {p.id: digest(p.text, seed_of(p.id), settings, *made_from.values()) for p in prompts}
    done = {prompt.id: folder.find(prompt.id, keys[prompt.id]) for prompt in prompts}
    missing = [prompt for prompt in prompts if done[prompt.id] is None]

    def saves() -> Iterator[Callable[[], Picture]]:
        pipeline = load()
        on = environment.device(str(getattr(pipeline, "_execution_device", "")))
        texts = encode_all(pipeline, backbone, missing, settings)
        for prompt in missing:
            seed, text = seed_of(prompt.id), texts.pop(prompt.id, None)
            started = time.perf_counter()
            pixels = sample(pipeline, backbone, prompt.text, seed, settings, text=text)
            seconds = round(time.perf_counter() - started, 3)
            record = {"prompt": prompt.text, "seed": seed, "settings": asdict(settings)}
            record |= {**made_from, "device": on}
            record |= {"digest": keys[prompt.id], "seconds": seconds}
            yield partial(folder.save, prompt.id, pixels, **record)

    saved = one_behind(saves() if missing else ())
    for prompt in prompts:
        picture = done[prompt.id]
        yield next(saved) if picture is None else picture


def encode_all(
    pipeline, backbone, prompts: Sequence[CaptionedImage], settings: SamplerSettings
) -> dict[str, Text]:
    """Each prompt's text by its id, and the pipeline without text encoders.

    Nothing for a kind of pipeline that only encodes while it samples. Offloaded encoders stay: they
    are in the CPU's memory, and hooks hold them.
    """
    if not hasattr(backbone, "encode_text"):
        return {}
    texts = encode(pipeline, backbone, [prompt.text for prompt in prompts], settings)
    if not getattr(pipeline, "_all_hooks", []):
        drop_text_encoders(pipeline)
    return {prompt.id: text for prompt, text in zip(prompts, texts, strict=True)}
