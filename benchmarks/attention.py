"""Attention forward and backward at 4096 px, by every kernel that torch and diffusers have here.

    python benchmarks/attention.py [--backbone flux] [--quick]

The shapes are those of one block: Flux (1, 24, 16461, 128) with 77 T5 tokens, SD3
(8, 24, 16538, 64) as it is trained, by micro-batches of eight; a token's heads lie one after the
other, as there. Ours is what torch chooses by itself (`native`, what the workflow samples with; it
trains with `torch flash`, or `diffusers _native_cudnn` where asked to); the others are asked for by
name. A kernel that is not installed, does not take these tensors or gives what is not finite is
listed in `failed`. What torch hands cuDNN as it is comes last, and after it two gradients that lie
otherwise, as those of Flux's single and double blocks: torch may read the second by the plan of the
first, and a kernel that reads outside its memory ends what the process can do on the GPU. Backward:
forward included. `torch` of the row `ours` is what torch chooses by itself, `auto` what
`generate.attention: auto` does; `difference`, the largest, is from the first kernel's result.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

import harness
import torch
from torch.nn import attention as implementations
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from diffusion4k.generate.kernels import choose

SHAPES = {"flux": (1, 24, 16461, 128), "sd3": (8, 24, 16538, 64)}
TORCH = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}
FLASH_3, TWO_LAYOUTS = "torch flash 3", "backward, gradients of two layouts"
# as diffusers names them: FlashAttention's own packages, and its kernels from the hub
DIFFUSERS = ("_native_cudnn", "flash", "_flash_3", "_flash_3_hub")


def kernels() -> dict[str, Callable]:
    """Functions of query, key and value, each (B, heads, tokens, channels)."""
    from diffusers.models.attention_dispatch import attention_backend, dispatch_attention_fn

    def of_torch(backend):
        def attend(*qkv):
            with sdpa_kernel([backend]):
                return scaled_dot_product_attention(*qkv)

        return attend

    def of_diffusers(name):
        def attend(*qkv):  # which has tokens before heads
            with attention_backend(name):  # which loads it
                turned = (tensor.transpose(1, 2) for tensor in qkv)
                return dispatch_attention_fn(*turned).transpose(1, 2)

        return attend

    made = {f"torch {name}": of_torch(backend) for name, backend in TORCH.items()}
    made |= {f"diffusers {name}": of_diffusers(name) for name in DIFFUSERS}
    made |= {FLASH_3: made["torch flash"], "ours": scaled_dot_product_attention}
    return made | {"torch cudnn": of_torch(SDPBackend.CUDNN_ATTENTION)}


@contextlib.contextmanager
def flash_attention_3() -> Iterator[None]:
    """FlashAttention 3 in place of torch's own flash kernel, backward pass included."""
    if not hasattr(implementations, "activate_flash_attention_impl"):
        raise RuntimeError(f"torch {torch.__version__} knows no other implementation")
    implementations.activate_flash_attention_impl("FA3")
    try:
        yield
    finally:
        implementations.restore_flash_attention_impl()


def choice(shape: tuple[int, ...], device, dtype) -> harness.Row:
    """What torch chooses for a shape, and what the workflow's `auto` does."""
    query = torch.empty(shape, device=device, dtype=dtype)
    by_itself = SDPBackend(torch._fused_sdp_choice(query, query, query)).name
    return {"torch": by_itself, "auto": choose(device, dtype, shape[-1])[0]}


def measure(report: harness.Report, shape: tuple[int, ...], device, dtype, repeats: int, limit):
    """Report every kernel that works, and why the others do not."""
    torch.manual_seed(0)
    batch, heads, tokens, channels = shape
    query, key, value, seen = (
        torch.randn(batch, tokens, heads, channels, device=device, dtype=dtype).transpose(1, 2)
        for _ in range(4)
    )
    product = 2 * batch * heads * tokens**2 * channels  # FLOPs of one of attention's two
    inputs = [tensor.requires_grad_() for tensor in (query, key, value)]
    expected = {}
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
                row |= choice(shape, device, dtype) if (side, case) == ("ours", "forward") else {}
                with flash_attention_3() if side == FLASH_3 else contextlib.nullcontext():
                    row |= harness.measure(call, device, repeats=repeats)
                    results = torch.stack([call()] if case == "forward" else call())
                first = expected.setdefault(case, results)
                row["difference"] = (results - first).abs().max().item()
                if not results.isfinite().all():
                    raise ArithmeticError("the result is not finite")
            except Exception as error:  # noqa: BLE001 (each has its own way of not being there)
                report.fail(f"{side}, {case}, {shape}", error)
                continue
            report.add(harness.achieved(row, products * product, limit))
    try:
        report.add({"side": "torch cudnn"} | two_layouts(kernels()["torch cudnn"], inputs, seen))
    except Exception as error:  # noqa: BLE001
        report.fail(f"torch cudnn, {TWO_LAYOUTS}, {shape}", error)


def two_layouts(attend: Callable, inputs: list[torch.Tensor], seen: torch.Tensor) -> harness.Row:
    """A gradient that lies in a tensor five times as wide, then the same numbers densely.

    `difference` is that of the gradients that come of them. Of a token less than `inputs`, so that
    no plan is there yet: what the first one leaves, the second may be read by.
    """
    inputs = [tensor.detach()[:, :, 1:].requires_grad_() for tensor in inputs]
    dense = seen[:, :, 1:].transpose(1, 2).contiguous()
    heads, channels = dense.shape[2:]
    wide = torch.cat([dense.flatten(2)] * 5, dim=2)[..., : heads * channels]
    wide = wide.unflatten(2, (heads, channels))
    began, found = time.perf_counter(), []
    for gradient in (wide, dense):
        gradients = torch.autograd.grad(attend(*inputs), inputs, gradient.transpose(1, 2))
        found.append(torch.stack(gradients))
    apart = (found[0] - found[1]).abs().max().item()  # which waits for the device
    seconds = time.perf_counter() - began
    if not all(gradients.isfinite().all() for gradients in found):
        raise ArithmeticError(f"the gradients are not finite; they differ by {apart}")
    return {"case": f"{TWO_LAYOUTS}, {tuple(inputs[0].shape)}", "seconds": seconds} | {
        "difference": apart
    }


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--backbone", nargs="+", choices=SHAPES, default=list(SHAPES))
    args = parser.parse_args()
    device = harness.device(args)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    limit = harness.limit(device, dtype, quick=args.quick)
    report = harness.Report(
        "attention", args, harness.device_name(device), harness.backbones(args, SHAPES),
        dtype=str(dtype), limit_tflops=limit, layout="token by token",
    )  # fmt: skip
    for name in args.backbone:
        shape = (1, 2, 64, SHAPES[name][-1]) if args.quick else SHAPES[name]
        measure(report, shape, device, dtype, args.repeats, limit)
    report.end()


if __name__ == "__main__":
    main()
