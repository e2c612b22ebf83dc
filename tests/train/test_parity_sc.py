"""The scale-consistent VAE's step against the released code, with its randomness injected.

golden/released-sc.safetensors was computed by the released statements (helpers/released_sc.py): one
step of the decoder, one of the discriminator on other photographs, the average of the weights. Both
sides in float64, in which they are the same on every processor.
"""

import subprocess

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

import parity
import parity_sc
from diffusion4k.perceptual import lpips_vgg
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.vae import scale_consistency
from diffusion4k.vae.discriminator import Discriminator
from tiny_training import fresh
from two_ranks import ENVIRONMENT, HELPERS, TORCHRUN

CLOSE = 1e-9  # of the norm, in float64


@pytest.fixture(scope="module")
def golden():
    torch.set_num_threads(1)
    return load_file(parity_sc.GOLDEN)


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    return parity_sc.save_vgg16(tmp_path_factory.mktemp("vgg16") / "model.safetensors")


@pytest.fixture(scope="module")
def distance(vgg16):
    return lpips_vgg(vgg16).double()


def stepped(distance, batches=parity_sc.batches, **changes):
    """Our task after one step in one process, its row, the gradients that its optimizers got."""
    fresh()
    with parity.double():
        found = parity_sc.stepped(distance, Accelerator(cpu=True), 1, batches(), **changes)
    fresh()
    return found


@pytest.fixture(scope="module")
def ours(distance):
    return stepped(distance)


def under(golden, prefix):
    """The golden values whose name begins so, by the rest of it, and the largest of all."""
    values = {k.removeprefix(prefix): v for k, v in golden.items() if k.startswith(prefix)}
    return values, max(value.abs().max().item() for value in values.values())


def test_every_term_of_the_loss_is_the_released_one(golden, ours):
    _, row, _ = ours
    pairs = {
        "loss_mse": "mse_loss", "loss_lpips": "lpips_loss", "loss_adversarial": "gen_loss",
        "adaptive_weight": "adaptive_weight", "loss_scale_consistency": "sc_loss",
    }  # fmt: skip
    for name, released in pairs.items():
        parity.assert_close(row[name], golden[f"decoder.{released}"])
    adversarial = 0.05 * row["adaptive_weight"] * row["loss_adversarial"]
    parity.assert_close(row["loss"] + adversarial, golden["decoder.loss"])


@pytest.mark.parametrize("network", ["decoder", "discriminator"])
def test_the_gradients_are_the_released_ones(golden, ours, network):
    _, _, gradients = ours
    released, largest = under(golden, f"{network}.gradient.")
    assert released.keys() == gradients[network].keys() and len(released) >= 10
    for name, value in released.items():
        parity.assert_close(gradients[network][name], value, largest)


def test_the_discriminators_step_is_the_released_one(golden, ours):
    task, row, _ = ours
    parity.assert_close(row["discriminator_real"], golden["discriminator.real"].mean())
    parity.assert_close(row["discriminator_fake"], golden["discriminator.fake"].mean())
    parity.assert_close(row["loss_gradient_penalty"], golden["discriminator.gp"])
    both = row["loss_discriminator"] + row["loss_gradient_penalty"]
    parity.assert_close(both, golden["discriminator.loss"])
    for name, vector in task.opponent.named_buffers():  # three power iterations
        parity.assert_close(vector, golden[f"discriminator.buffer.{name}"])


def test_the_average_is_the_released_one_with_both_its_ticks(golden, ours):
    task, _, _ = ours
    names = [name for name, p in task.student.named_parameters() if p.requires_grad]
    for name, shadow in zip(names, task.ema.values, strict=True):
        parity.assert_close(shadow, golden[f"ema.{name}"])
    assert task.ema.updates == 2


def test_the_whole_discriminator_is_the_released_one(golden):
    with parity.double(), torch.no_grad():
        whole = parity_sc.fill_discriminator(Discriminator())
        answer = whole(parity_sc.pixels("second").float() / 127.5 - 1)
    assert answer.shape == (2, 1, 2, 2)
    parity.assert_close(answer, golden["whole.discriminator"])
    assert sum(p.numel() for p in whole.parameters()) == 6_271_105


@pytest.mark.parametrize(
    "fault",
    [{"form": "folded"}, {"lpips": 0.11}, {"scale_consistency": 0.9}, {"adversarial": 0.04}],
    ids=lambda fault: next(iter(fault)),
)
def test_another_step_is_told_from_the_released_one(golden, distance, fault):
    _, _, gradients = stepped(distance, **fault)
    name = "decoder.mid_block.resnets.0.conv1.weight"
    with pytest.raises(AssertionError):
        parity.assert_close(gradients["decoder"][name], golden[f"decoder.gradient.{name}"])


def test_the_small_map_alone_gives_the_consistency_and_its_gradient():
    """Against the definition: the student's map, enlarged, against the teacher's."""
    student, teacher = parity.draw("map", 2, 4, 6, 8), parity.draw("large map", 2, 4, 12, 16)
    gradients = []
    for term in (
        lambda s: scale_consistency.consistency(s, teacher),
        lambda s: torch.nn.functional.mse_loss(
            torch.nn.functional.interpolate(s, scale_factor=2, mode="nearest"), teacher
        ),
    ):
        s = student.clone().requires_grad_()
        loss = term(s)
        loss.backward()
        gradients.append((loss.detach(), s.grad))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_micro_batches_are_one_with_the_whole_batch(ours, distance):
    """Gradients, the adaptive weight, the power iterations: of two pictures, one at a time."""
    task, row, gradients = stepped(distance, parity_sc.one_by_one, micro_batch=1)
    for name, value in ours[1].items():
        assert row[name] == pytest.approx(value, rel=CLOSE)
    for network, expected in ours[2].items():
        assert parity_sc.apart(gradients[network], expected) < CLOSE, network
    for vector, expected in zip(task.opponent.buffers(), ours[0].opponent.buffers(), strict=True):
        assert torch.equal(vector, expected)
    # what the images of a weight are, does matter
    each = {"micro_batch": 1, "adaptive_group": 1}
    _, row, gradients = stepped(distance, parity_sc.one_by_one, **each)
    assert parity_sc.apart(gradients["decoder"], ours[2]["decoder"]) > 1e-3
    assert abs(row["adaptive_weight"] / ours[1]["adaptive_weight"] - 1) > 1e-3


@pytest.mark.parametrize(("processes", "micro"), [(1, 32), (1, 4), (4, 32), (2, 2)])
def test_which_images_share_a_weight_does_not_depend_on_how_they_are_dealt_out(processes, micro):
    settings = AutoencoderSettings(decoder_batch=64, discriminator_batch=128, micro_batch=micro)
    dealt = [settings.dealt(processes, process) for process in range(processes)]
    groups = zip(*(groups for groups, _ in dealt), strict=True)
    slots = [sorted(s for parts in group for part in parts for s in part) for group in groups]
    assert slots == [[*range(32)], [*range(32, 64)]]
    further = sorted(s for _, parts in dealt for part in parts for s in part)
    assert further == [*range(64, 192)]
    assert all(len(part) <= micro for groups, _ in dealt for parts in groups for part in parts)


@pytest.mark.long
def test_two_processes_are_one_with_the_whole_batch(vgg16, tmp_path):
    """Gradients of decoder and discriminator, the adaptive weight, what is logged: averaged."""
    ran = subprocess.run(
        [*TORCHRUN, str(HELPERS / "autoencoder_ranks.py"), str(vgg16)],
        capture_output=True,
        text=True,
        timeout=600,
        env=ENVIRONMENT,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]
    assert ran.stdout.count("two processes are one") == 2
