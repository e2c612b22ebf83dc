"""Attention forward and backward at 4096 px, by every kernel that torch and diffusers have here.

    python benchmarks/attention.py [--backbone flux] [--quick]

The shapes are those of one block: Flux (1, 24, 16461, 128) with 77 T5 tokens, SD3
(8, 24, 16538, 64) as it is trained, by micro-batches of eight. Ours is what torch chooses by itself
(`native`, what the workflow uses); the others are asked for by name. A kernel that is not installed
or does not take these tensors is listed in `failed` with its reason. Backward: forward included.
"""

from collections.abc import Callable

import harness
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

SHAPES = {"flux": (1, 24, 16461, 128), "sd3": (8, 24, 16538, 64)}
TORCH = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
# as `transformer.set_attention_backend` names them: FlashAttention's own packages
DIFFUSERS = ("flash", "_flash_3", "_flash_3_hub")


def kernels() -> dict[str, Callable]:
    """Functions of query, key and value, each (B, heads, tokens, channels)."""
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    def of_torch(backend):
        def attend(*qkv):
            with sdpa_kernel([backend]):
                return scaled_dot_product_attention(*qkv)

        return attend

    def of_diffusers(backend):
        def attend(*qkv):  # which has tokens before heads
            turned = (tensor.transpose(1, 2) for tensor in qkv)
            return dispatch_attention_fn(*turned, backend=backend).transpose(1, 2)

        return attend

    made = {"ours": scaled_dot_product_attention}
    made |= {f"torch {name}": of_torch(backend) for name, backend in TORCH.items()}
    known = {backend.value: backend for backend in AttentionBackendName}
    return made | {f"diffusers {n}": of_diffusers(known[n]) for n in DIFFUSERS if n in known}


def measure(shape: tuple[int, ...], device, dtype, repeats: int, limit: float):
    """Rows of every kernel that works, and why the others do not."""
    torch.manual_seed(0)
    query, key, value, seen = (torch.randn(shape, device=device, dtype=dtype) for _ in range(4))
    batch, heads, tokens, channels = shape
    product = 2 * batch * heads * tokens**2 * channels  # FLOPs of one of attention's two
    inputs = [tensor.requires_grad_() for tensor in (query, key, value)]
    expected, rows, failed = None, [], {}
    for side, attend in kernels().items():

        def forward(attend=attend):
            with torch.no_grad():
                return attend(*inputs)

        def backward(attend=attend):
            return torch.autograd.grad(attend(*inputs), inputs, seen)

        # the backward pass takes five such products, the forward pass two
        for case, call, products in (("forward", forward, 2), ("backward", backward, 7)):
            try:
                row = {"case": f"{case}, {shape}", "side": side}
                row |= harness.measure(call, device, repeats=repeats)
            except Exception as error:  # noqa: BLE001 (each has its own way of not being there)
                failed[f"{side}, {case}, {shape}"] = f"{type(error).__name__}: {error}"[:200]
                continue
            row = harness.achieved(row, products * product, limit)
            if case == "forward":
                result = forward()
                expected = result if expected is None else expected
                row["difference"] = (result - expected).abs().max().item()
            rows.append(row)
    return rows, failed


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--backbone", nargs="+", choices=SHAPES, default=list(SHAPES))
    args = parser.parse_args()
    device = harness.device(args)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    limit = harness.limit(device, dtype, quick=args.quick)
    rows, failed = [], {}
    for name in args.backbone:
        shape = (1, 2, 64, SHAPES[name][-1]) if args.quick else SHAPES[name]
        measured, refused = measure(shape, device, dtype, args.repeats, limit)
        rows, failed = rows + measured, failed | refused
    for kernel, reason in failed.items():
        print(f"{kernel}: {reason}")
    harness.report(
        "attention", args, harness.device_name(device), rows,
        dtype=str(dtype), limit_tflops=limit, failed=failed,
    )  # fmt: skip


if __name__ == "__main__":
    main()
