"""The kernel of a transformer's attention, for training and sampling; SD3's joint attention too.

diffusers' JointAttnProcessor2_0 calls torch's scaled_dot_product_attention itself, so that none
can be chosen.
"""

import torch
from diffusers.models import attention_dispatch as dispatch
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch import nn


def switchable(transformer: nn.Module | None) -> bool:
    """Whether a transformer's attention goes through diffusers' dispatch, or can be led there."""
    modules = transformer.modules() if isinstance(transformer, nn.Module) else ()
    processors = [getattr(module, "processor", None) for module in modules]
    return any(
        hasattr(p, "_attention_backend") or type(p) is JointAttnProcessor2_0 for p in processors
    )


def switch(transformer: nn.Module, name: str) -> None:
    """Let a transformer's attention be computed by a kernel of diffusers' dispatch; no other's."""
    for module in transformer.modules():
        if type(getattr(module, "processor", None)) is JointAttnProcessor2_0:
            module.set_processor(JointAttention())
        if hasattr(getattr(module, "processor", None), "_attention_backend"):
            module.processor._attention_backend = dispatch.AttentionBackendName(name)


class JointAttention:
    """A processor of diffusers' `Attention`: the same products, through its dispatch.

    Takes (B, N, d) of the image and, in joint blocks, (B, T, d) of the text; gives the same shapes.
    """

    _attention_backend = None  # where diffusers keeps a module's kernel; None: the process's
    _parallel_config = None

    def __call__(
        self,
        attn,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **_,
    ):
        image, text = hidden_states, encoder_hidden_states
        layers, norms = (attn.to_q, attn.to_k, attn.to_v), (attn.norm_q, attn.norm_k, None)
        streams = [_project(image, layers, norms, attn.heads)]
        if text is not None:
            layers = (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
            norms = (attn.norm_added_q, attn.norm_added_k, None)
            streams.append(_project(text, layers, norms, attn.heads))
        query, key, value = (torch.cat(parts, dim=1) for parts in zip(*streams, strict=True))
        mixed = dispatch.dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        mixed = mixed.flatten(2).to(query.dtype)  # (B, N + T, d)
        image = attn.to_out[1](attn.to_out[0](mixed[:, : image.shape[1]]))
        if text is None:
            return image
        text = mixed[:, image.shape[1] :]
        return image, text if attn.context_pre_only else attn.to_add_out(text)


def _project(stream: torch.Tensor, layers, norms, heads: int) -> list[torch.Tensor]:
    """(B, N, d) => query, key and value, (B, N, heads, channels)."""
    parts = [layer(stream).unflatten(-1, (heads, -1)) for layer in layers]
    return [part if norm is None else norm(part) for part, norm in zip(parts, norms, strict=True)]
