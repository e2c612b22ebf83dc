"""SD3's joint attention by a kernel that can be chosen, which diffusers' own does not let one do.

diffusers' JointAttnProcessor2_0 calls torch's scaled_dot_product_attention itself.
"""

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn


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
        mixed = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
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
