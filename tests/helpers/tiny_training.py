"""Miniature trainings for tests, six steps: a transformer on five latents of two crops; a VAE
on six photographs, two of them held out."""

import pyarrow.parquet as pq
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file, save_file

import rounding
import tiny
from diffusion4k import backbones, manifest
from diffusion4k.data import listing
from diffusion4k.sources.miniature import metric_networks
from diffusion4k.train import trainer
from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.finetune import FineTuning
from diffusion4k.train.job import Job
from diffusion4k.train.settings import Settings

STEPS = 6
VAE = {"decoder_batch": 2, "discriminator_batch": 2, "micro_batch": 2, "size": 32, "ema": 0.9}
VAE |= {"resize": 32}
VAE |= {"discriminator_hidden": 16, "discriminator_depth": 4, "learning_rate": 1e-3}
VAE |= {"gradient_checkpointing": True}
VARIANTS = {
    "sd3": {"precision": "float32", "gradient_checkpointing": False, "micro_batch": 4},
    "flux": {"precision": "bfloat16", "gradient_checkpointing": True, "micro_batch": 2},
}


def fresh():
    """Forget accelerate's global state, as a new process would."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def make_inputs(root):
    """For each backbone, a pipeline's manifest (transformer, scheduler) and one of five latents."""
    torch.manual_seed(0)
    for name, transformer in (("sd3", tiny.sd3_transformer()), ("flux", tiny.flux_transformer())):
        folder = root / name
        transformer.save_pretrained(folder / "transformer")
        tiny.FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
        tiny.save_manifest(root / f"{name}.json", folder, notes=["random weights (test)"])
        latents = root / f"latents-{name}"
        (latents / "samples").mkdir(parents=True)
        for index in range(5):
            for crop in range(2):
                write_sample(latents / "samples" / f"photo-{index}-{crop}.safetensors", name)
        tiny.save_manifest(root / f"latents-{name}.json", latents)
    make_vae_inputs(root)
    return root


def make_vae_inputs(root):
    """The pipeline of a VAE, photographs, which of them are held out, LPIPS's random network."""
    tiny.vae().save_pretrained(root / "vae" / "vae")
    tiny.save_manifest(root / "vae.json", root / "vae", notes=["random weights (test)"])
    dataset = manifest.read(tiny.save_dataset(root, 6))
    parts = listing.divide(listing.of(dataset, "train", captioned=True), 2, seed=0)
    (root / "images").mkdir()
    for name, part in zip((listing.TRAINING, listing.HELD_OUT), parts, strict=True):
        listing.write(root / "images" / name, part, dataset.root)
    tiny.save_manifest(root / "images.json", root / "images")
    (root / "vgg16").mkdir()
    metric_networks.make_vgg16(root / "vgg16", narrower=8)
    tiny.save_manifest(root / "vgg16.json", root / "vgg16")


def write_sample(path, name):
    pooled = tiny.CLIP_WIDTH * (2 if name == "sd3" else 1)
    shapes = dict.fromkeys(("mean", "logvar", "mean_flip", "logvar_flip"), (16, 8, 8))
    shapes |= {"prompt_embeds": (12, tiny.T5_WIDTH), "pooled": (pooled,)}
    tensors = {key: torch.randn(shape) for key, shape in shapes.items()}
    told = {"backbone": name, "vae_scaling_factor": "1.5305", "vae_shift_factor": "0.0609"}
    save_file(tensors, path, metadata=told | {"id": path.stem, "crop": "0"})


def recipe(name="sd3", **changes):
    if name == "vae":
        return AutoencoderSettings(**VAE | changes)
    values = {"learning_rate": 1e-3, "global_batch": 4, "guidance": 3.5} | VARIANTS[name]
    return Settings(backbone=name, **values | changes)


def job_for(inputs, folder, name="sd3", **changes):
    step = changes.get("stop_step", STEPS)
    values = {
        "pipeline": inputs / f"{name}.json",
        "start": None,
        "stop_step": step,
        "processes": 1,
        "progress_folder": folder / "progress",
        "output": folder / f"step-{step:06d}.json",
        "save_every": 2,
    }
    if name == "vae":
        values |= {"dataset": inputs / "data.json", "workers": 0}
        values |= {key: inputs / f"{key}.json" for key in ("images", "vgg16")}
    else:
        values["latents"] = (inputs / f"latents-{name}.json",)
    return Job(**values | changes)


def vae_flags(job, **changes):
    """The flags of scripts/train_vae.py for `recipe("vae", **changes)` on the job's inputs."""
    inputs = {key: getattr(job, key) for key in ("dataset", "images", "vgg16")}
    values = VAE | changes | inputs
    return [f"--{k.replace('_', '-')}={v}" for k, v in values.items() if v is not True]


def train(settings, job):
    """Train in this process, with one thread; the weights by name.

    Equal bytes want an equal number of threads: some kernels add up a batch in a share for each.
    """
    torch.set_num_threads(1)
    fresh()
    start(settings, job)
    return weights(job.output)


def start(settings, job):
    """What scripts/train.py, or scripts/train_vae.py, does with its flags."""
    if isinstance(settings, AutoencoderSettings):
        trainer.train(ScaleConsistency(settings), job)
        return
    trainer.train(FineTuning(settings, backbones.get(settings.backbone)), job)


def weights(output):
    return load_file(output.with_suffix("") / "state" / "model.safetensors")


def assert_close_trainings(found, expected, pipeline):
    """AssertionError where two trainings of `pipeline` (a folder) differ by more than rounding.

    Adam divides a gradient by its own size. Where that is a share r of the usual one, an error of
    t of the usual gradient becomes t / r of a step, at most a whole one; about a share r of all
    weights have gradients smaller than r. So the mean square of the error is 2 t of a step's.
    """
    start = load_file(pipeline / "transformer" / "diffusion_pytorch_model.safetensors")
    assert found.keys() == expected.keys()
    moved = sum((expected[key] - start[key]).square().sum() for key in start).sqrt()
    apart = sum((expected[key] - found[key]).square().sum() for key in start).sqrt()
    assert apart < close_steps() * moved


def close_steps():
    """How far trainings that differ by rounding may lie apart, relative to the way they went."""
    networks = tiny.sd3_transformer(), tiny.vae().encoder
    return (2 * rounding.tolerance(2 * rounding.terms(*networks), scale=1)) ** 0.5


def history(output):
    """The logged steps, without what a clock or the machine decides."""
    rows = pq.read_table(output.with_suffix("") / "loss.parquet").to_pylist()
    measured = {"seconds", "steps_per_second", "images_per_second", "memory_gb"}
    return [{key: value for key, value in row.items() if key not in measured} for row in rows]
