"""One of two processes that train a VAE on half a batch each; test_parity_sc.py starts it.

    torchrun --standalone --nproc_per_node=2 tests/helpers/autoencoder_ranks.py VGG16

Each checks that what its optimizers got is what one process gets of the whole batch, and that its
own half alone would not have been, which is what the released decoders were trained on.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch

import parity
import parity_sc
from diffusion4k.perceptual import lpips_vgg
from diffusion4k.train import launch
from diffusion4k.train.autoencoder_settings import AutoencoderSettings


class Alone:
    """What a step asks of an accelerator, in a process by itself."""

    device = torch.device("cpu")
    autocast = staticmethod(nullcontext)

    def reduce(self, value, how):
        return value


def main() -> None:
    torch.set_num_threads(1)
    distance = lpips_vgg(Path(sys.argv[1])).double()
    with parity.double():
        compare(distance)


def compare(distance: torch.nn.Module) -> None:
    recipe = AutoencoderSettings(decoder_batch=2, discriminator_batch=2, micro_batch=1)
    accelerator = launch.accelerator_for(recipe, 2)
    rank = accelerator.process_index
    whole = parity_sc.batches()
    half = [{key: value[rank : rank + 1] for key, value in batch.items()} for batch in whole]
    _, row, averaged = parity_sc.stepped(distance, accelerator, 2, half)
    _, expected_row, expected = parity_sc.stepped(distance, Alone(), 1, whole)
    _, _, own = parity_sc.stepped(distance, Alone(), 1, half)
    for name in ("decoder", "discriminator"):
        assert parity_sc.apart(averaged[name], expected[name]) < 1e-9, name
        assert parity_sc.apart(own[name], expected[name]) > 1e-2, name
    for name, value in expected_row.items():
        assert abs(row[name] - value) <= 1e-9 * abs(value), (name, row[name], value)
    print("two processes are one", flush=True)
    accelerator.end_training()


if __name__ == "__main__":
    main()
