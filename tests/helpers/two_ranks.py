"""How tests start two processes of a training on the CPU."""

import os
import sys
from pathlib import Path

HELPERS = Path(__file__).resolve().parent
ROOT = HELPERS.parents[1]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": f"{HELPERS}:{ROOT / 'scripts'}",
    # where DeepSpeed's CPU Adam stays, once built by g++ and ninja, which takes minutes
    "TORCH_EXTENSIONS_DIR": str(ROOT / ".torch_extensions"),
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}
