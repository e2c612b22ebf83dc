"""Run the released code on the miniature of parity.py and keep what it computed.

    PYTHONPATH=scripts:tests/helpers python tests/helpers/released.py CHECKOUT

CHECKOUT is a clone of zhang0jhon/diffusion-4k at 9bea802; pytorch_wavelets must be importable (it
needs setuptools < 80). The training step is not retold here: the statements of the released
training loop, from the batch to the loss, are taken from the file and executed, with the draws of
parity.py in place of its random ones. Writes golden/released.safetensors.
"""

import argparse
import ast
import copy
import sys
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file

import parity
import tiny


def training_step(checkout: Path, name: str) -> dict[str, torch.Tensor]:
    """Loss, noise levels, noisy latents and every gradient of the released step."""
    from diffusers.training_utils import compute_loss_weighting_for_sd3
    from pipeline_flux_4k_wavelet import FluxPipeline
    from pytorch_wavelets import DWTForward

    import vae as released_vae

    inputs, transformer = parity.batch(name), parity.transformer(name).train()
    vae = released_autoencoder(name)
    shift = {"shift": 3.0} | ({"use_dynamic_shifting": True} if name == "flux" else {})
    scheduler = FlowMatchEulerDiscreteScheduler(**shift)
    released_vae.randn_tensor = lambda *args, **kwargs: inputs["eps"]
    space = {
        "torch": torch,
        "vae": vae,
        "transformer": transformer,
        "noise_scheduler": scheduler,
        "noise_scheduler_copy": copy.deepcopy(scheduler),
        "FluxPipeline": FluxPipeline,
        "dwt": DWTForward(J=1, mode="zero", wave="haar"),
        "weight_dtype": torch.float64,
        "compute_loss_weighting_for_sd3": compute_loss_weighting_for_sd3,
        "compute_density_for_timestep_sampling": lambda **kwargs: inputs["u"],
        "unwrap_model": lambda model: model,
        "accelerator": argparse.Namespace(device=torch.device("cpu")),
        "args": argparse.Namespace(
            weighting_scheme="none", logit_mean=0.0, logit_std=1.0, mode_scale=1.29,
            guidance_scale=parity.GUIDANCE["flux"],
        ),
        "batch": {
            "pixel_values": inputs["pixels"],
            "prompt_embeds": inputs["prompt_embeds"],
            "pooled_prompt_embeds": inputs["pooled"],
            "text_ids": torch.zeros(parity.TOKENS, 3),
        },
    }  # fmt: skip
    randn_like, torch.randn_like = torch.randn_like, lambda like, **kwargs: inputs["noise"]
    try:
        exec(released_loop(checkout / f"train_{name}_4k_wavelet.py"), space)
    finally:
        torch.randn_like = randn_like
    space["loss"].backward()
    gradients = {f"gradient.{n}": p.grad for n, p in transformer.named_parameters()}
    kept = {"loss": space["loss"], "sigma": space["sigmas"], "noisy": space["noisy_model_input"]}
    return {f"{name}.{key}": value.detach() for key, value in (kept | gradients).items()}


def released_autoencoder(name: str) -> torch.nn.Module:
    """The released class with the miniature's weights, stride 2."""
    import autoencoder_kl

    plain = parity.fill(tiny.vae(*parity.VAE[name]))
    known = autoencoder_kl.AutoencoderKL.__init__.__wrapped__.__code__.co_varnames
    config = {key: value for key, value in plain.config.items() if key in known}
    vae = autoencoder_kl.AutoencoderKL(**config, stride=2)
    vae.load_state_dict(plain.state_dict())
    return vae


def released_loop(path: Path):
    """The loop's statements from the batch to the loss, and its helper get_sigmas, compiled."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    helper = next(
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "get_sigmas"
    )
    loop = next(
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.For) and "train_dataloader" in ast.dump(n.iter)
    )
    body = next(n for n in loop.body if isinstance(n, ast.With)).body
    end = next(i for i, n in enumerate(body) if "backward" in ast.unparse(n))
    return compile(ast.Module([helper, *body[:end]], type_ignores=[]), str(path), "exec")


def decoded(name: str) -> dict[str, torch.Tensor]:
    """A picture of the released decoder, partitioned as by default."""
    with torch.no_grad():
        picture = released_autoencoder(name).decode(parity.draw("latent", 1, 16, 4, 6)).sample
    return {f"{name}.decoded": picture}


def sampled(name: str) -> dict[str, torch.Tensor]:
    """The picture of the released pipeline, (1, H, W, 3) in [0, 1], seed 0."""
    import pipeline_flux_4k_wavelet
    import pipeline_sd3_4k_wavelet

    kind = {
        "sd3": pipeline_sd3_4k_wavelet.StableDiffusion3Pipeline,
        "flux": pipeline_flux_4k_wavelet.FluxPipeline,
    }[name]
    known = kind.__init__.__code__.co_varnames
    parts = parity.pipeline(name).components | {"vae": released_autoencoder(name)}
    pipeline = kind(**{key: part for key, part in parts.items() if key in known})
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        parity.PROMPT, height=parity.SIZE, width=parity.SIZE, guidance_scale=parity.GUIDANCE[name],
        num_inference_steps=parity.STEPS, max_sequence_length=parity.TOKENS,
        generator=torch.Generator("cpu").manual_seed(0), output_type="np",
    ).images  # fmt: skip
    return {f"{name}.sampled": torch.from_numpy(made)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    checkout = parser.parse_args().checkout.resolve()
    sys.path.insert(0, str(checkout))
    torch.set_num_threads(1)
    found: dict[str, torch.Tensor] = {}
    for name in parity.NAMES:
        with parity.double():
            found |= training_step(checkout, name) | decoded(name)
        found |= sampled(name)
    parity.GOLDEN.parent.mkdir(exist_ok=True)
    save_file(parity.kept(found), parity.GOLDEN)
    for name in parity.NAMES:
        print(f"{name}: released loss {found[f'{name}.loss'].item():.9g}")


if __name__ == "__main__":
    main()
