"""Run the released SC-VAE training on the miniature of parity_sc.py and keep what it computed.

    PYTHONPATH=scripts:tests/helpers python tests/helpers/released_sc.py CHECKOUT

CHECKOUT is a clone of zhang0jhon/diffusion-4k at 9bea802. As in released.py nothing is retold: the
statements of the released loop, one step of the decoder and one of the discriminator, are taken
from the file and executed. Writes golden/released-sc.safetensors.
"""

import argparse
import ast
import sys
from pathlib import Path

import lpips
import torch
import torch.nn.functional as F
from diffusers.training_utils import EMAModel
from safetensors.torch import save_file

import parity
import parity_sc


def statements(path: Path):
    """The helpers, the decoder's step and the discriminator's, compiled, from their `with`s."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wanted = ("grad_layer_wrt_loss", "gradient_penalty")
    helpers = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in wanted]
    bodies = {
        node.items[0].context_expr.args[0].id: node.body
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "accelerator.accumulate" in ast.unparse(node.items[0])
    }
    parts = (helpers, bodies["vae"], bodies["discriminator"])
    return [compile(ast.Module(part, type_ignores=[]), str(path), "exec") for part in parts]


class Accelerator:
    """What the statements ask of accelerate in one process."""

    num_processes, sync_gradients = 1, True

    def unwrap_model(self, model):
        return model

    def gather(self, values):
        return values

    def backward(self, loss):
        loss.backward()

    def clip_grad_norm_(self, parameters, norm):
        torch.nn.utils.clip_grad_norm_(list(parameters), norm)


def main() -> None:
    with parity.double():
        run()


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    folder = parser.parse_args().checkout.resolve() / "sc-vae"
    sys.path.insert(0, str(folder))
    torch.set_num_threads(1)
    from autoencoder_kl import AutoencoderKL
    from discriminator_vae import Discriminator

    import vae as released_vae

    plain, sample = parity_sc.vae(), parity_sc.batch("first")
    known = AutoencoderKL.__init__.__wrapped__.__code__.co_varnames
    config = {key: value for key, value in plain.config.items() if key in known}
    student, teacher = (AutoencoderKL(**config, stride=stride) for stride in (2, 1))
    for module in (student, teacher):
        module.load_state_dict(plain.state_dict())
    teacher.requires_grad_(False)
    trained = {n: p for n, p in student.named_parameters() if "decoder" in n}
    student.requires_grad_(False)
    for parameter in trained.values():
        parameter.requires_grad_(True)
    discriminator = parity_sc.fill_discriminator(
        Discriminator(hidden_channels=parity_sc.HIDDEN, depth=parity_sc.DEPTH)
    )
    distance = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    distance.net.load_state_dict(parity_sc.vgg16())
    heads = Path(lpips.__file__).with_name("weights") / "v0.1" / "vgg.pth"
    distance.load_state_dict(torch.load(heads, map_location="cpu", weights_only=True), strict=False)
    distance.eval().requires_grad_(False)
    noise = iter((sample["eps"], sample["teacher_eps"]))
    released_vae.randn_tensor = lambda *args, **kwargs: next(noise)
    how = {"lr": 1e-5, "betas": (0.9, 0.999), "weight_decay": 1e-4, "eps": 1e-8}
    scales = {"lpips_scale": 0.1, "gen_scale": 0.05, "sc_scale": 1.0}
    space = {
        "torch": torch, "F": F, "vae": student.train(), "teacher_vae": teacher.eval(),
        "discriminator": discriminator, "lpips_loss_fn": distance, "weight_dtype": torch.float64,
        "optimizer": torch.optim.AdamW(list(trained.values()), **how),
        "discr_optimizer": torch.optim.AdamW(discriminator.parameters(), **how),
        "lr_scheduler": argparse.Namespace(step=lambda: None),
        "discr_lr_scheduler": argparse.Namespace(step=lambda: None),
        "accelerator": Accelerator(),
        "args": argparse.Namespace(
            patch_loss=False, train_batch_size=parity_sc.BATCH, max_grad_norm=1.0, **scales
        ),
        "target": sample["pixels"].float() / 127.5 - 1,
    }  # fmt: skip
    ema = EMAModel(student.parameters())
    helpers, decoders, discriminators = statements(folder / "train_vae.py")
    exec(helpers, space)
    exec(decoders, space)
    ema.step(student.parameters())
    names = ("mse_loss", "lpips_loss", "gen_loss", "adaptive_weight", "sc_loss", "loss", "pred")
    kept = {f"decoder.{name}": space[name].detach().clone() for name in names}
    kept |= {f"decoder.gradient.{n}": p.grad.clone() for n, p in trained.items()}
    space["target"] = parity_sc.pixels("second").float() / 127.5 - 1
    discriminator.zero_grad(set_to_none=True)
    exec(discriminators, space)
    ema.step(student.parameters())
    kept |= {f"discriminator.{n}": space[n].detach() for n in ("loss", "gp", "real", "fake")}
    for name, parameter in discriminator.named_parameters():
        kept[f"discriminator.gradient.{name}"] = parameter.grad
    kept |= {f"discriminator.buffer.{n}": b for n, b in discriminator.named_buffers()}
    shadow = dict(zip(dict(student.named_parameters()), ema.shadow_params, strict=True))
    kept |= {f"ema.{name}": shadow[name] for name in trained}
    whole = parity_sc.fill_discriminator(Discriminator())
    with torch.no_grad():
        kept["whole.discriminator"] = whole(space["target"].detach())
    save_file(parity.kept(kept), parity_sc.GOLDEN)
    print({name: kept[f"decoder.{name}"].item() for name in names[:-1]})


if __name__ == "__main__":
    main()
