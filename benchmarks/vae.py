"""The F16 VAE: decoding folded, upsampled, as published; encoding; F8. Real size, random weights.

    python benchmarks/vae.py [--size 4096] [--quick]

`last` is the last convolution alone, where the three differ: (1, 128, size/2, size/2) to pixels.
F8 decodes four times the latents, the paper's comparison; where its memory does not suffice,
`failed` says so. `channels last` is the folded one again, all channels of a pixel side by side in
memory. `finite` says of each picture whether all of it are numbers.
"""

from functools import partial

import harness
import networks
import torch

from diffusion4k.estimate import flops

FORMS = {"folded": "ours", "upsample": "upsample", "published": "reference"}


@torch.no_grad()
def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--size", type=int, help="px; default 4096 on a GPU, 512 on a CPU")
    args = parser.parse_args()
    device = harness.device(args)
    cuda = device.type == "cuda"
    size = args.size or (64 if args.quick else 4096 if cuda else 512)
    dtype = torch.bfloat16 if cuda else torch.float32
    config = networks.architecture("flux", quick=args.quick).vae
    vae = networks.vae("flux", device, dtype, quick=args.quick)
    random = torch.Generator().manual_seed(0)
    limit = harness.limit(device, dtype, quick=args.quick)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random).to(device, dtype)

    card = harness.device_name(device)
    report = harness.Report("vae", args, card, dtype=str(dtype), size=size, limit_tflops=limit)
    latent = draw(1, 16, size // 16, size // 16)
    wide = draw(1, config["block_out_channels"][0], size // 2, size // 2)

    def last(form: str) -> torch.Tensor:
        vae.decoder.conv_out.form = form
        return vae.decoder.conv_out(wide)

    def decode(form: str) -> torch.Tensor:
        vae.decoder.conv_out.form = form
        return vae.decode(latent).sample

    for name, function in {"last": last, "decode": decode}.items():
        calls = {form: partial(function, form) for form in FORMS}
        for form, taken in harness.alternate(calls, device, repeats=args.repeats).items():
            row = {"case": f"{name}, {size} px", "side": FORMS[form]} | taken
            count = flops.decode(config, height=size, width=size, form=form)
            report.add(harness.achieved(row, count, limit) if name == "decode" else row)
    pictures = {form: decode(form).float() for form in FORMS}
    pixels = draw(1, 3, size, size)
    counts = {
        "decode": flops.decode(config, height=size, width=size, form="folded"),
        "encode": flops.encode(config, height=size, width=size),
    }

    def measured(name: str, side: str, function) -> None:
        row = {"case": f"{name}, {size} px", "side": side}
        row |= harness.measure(function, device, repeats=args.repeats)
        report.add(harness.achieved(row, counts[name], limit))

    measured("encode", "ours", lambda: vae.encode(pixels))
    last_format = {"memory_format": torch.channels_last}
    vae.to(**last_format)
    latent, pixels = latent.to(**last_format), pixels.to(**last_format)
    measured("decode", "channels last", partial(decode, "folded"))
    measured("encode", "channels last", lambda: vae.encode(pixels))

    finite = {form: picture.isfinite().all().item() for form, picture in pictures.items()}
    wide_latent = draw(1, 16, size // 8, size // 8)
    f8 = networks.vae("flux", device, dtype, quick=args.quick, factor=8)
    try:
        row = {"case": f"decode, {size} px", "side": "F8"}
        decode_f8 = partial(f8.decode, wide_latent)
        report.add(row | harness.measure(decode_f8, device, repeats=1, warmup=0))
        finite["F8"] = decode_f8().sample.isfinite().all().item()
    except torch.cuda.OutOfMemoryError as error:
        report.fail("F8", error)
    del f8, wide_latent

    # the published picture is the exact one moved by a pixel
    exact, moved = pictures["upsample"], pictures["published"]
    pairs = {
        "folded": (pictures["folded"], exact),
        "published, moved back": (moved[..., 1:, 1:], exact[..., :-1, :-1]),
    }
    differences = {
        name: ((a - b).abs().max() / exact.abs().max()).item() for name, (a, b) in pairs.items()
    }
    print(f"largest difference from upsampling, of the largest value: {differences}\n")
    report.end(differences=differences, finite=finite)


if __name__ == "__main__":
    main()
