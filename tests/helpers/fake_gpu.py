"""A GPU without one: torch's fake tensors on the device "cuda", which have shapes and no values.

A network of any size is built in a second, and an operation on tensors of two devices or of dtypes
that do not go together is an error as on a real GPU. What Python reads from a tensor is invented:
a number is 1, a truth is true, an index and an array are zeros, what is sought is found in the
first place. An array is read on the CPU only, as of a real tensor. Autocast and backward passes do
not work.
"""

import __future__

import contextlib
import functools
import importlib.util
import inspect
import textwrap
from pathlib import Path
from unittest import mock

import numpy as np
import safetensors.torch
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda")
PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "networks.py"
SPEC = importlib.util.spec_from_file_location("benchmark_networks", PATH)
networks = importlib.util.module_from_spec(SPEC)  # of the real sizes
SPEC.loader.exec_module(networks)
READ = {torch.Tensor.item, torch.Tensor.__bool__, torch.Tensor.__int__}
DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
DTYPES |= {torch.uint8: np.uint8, torch.int64: np.int64}


class Reads(TorchFunctionMode):
    """Answers what Python asks of a fake tensor."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        tensor = args[0] if args else None
        if isinstance(tensor, FakeTensor):
            if func in READ:
                return True if tensor.dtype == torch.bool else int(tensor.is_floating_point())
            if func is torch.Tensor.__float__:
                return 1.0
            if func is torch.Tensor.any:  # of what is asked for, a fault
                return False
            if func in (torch.Tensor.numpy, torch.Tensor.__array__):
                assert tensor.device.type == "cpu", "numpy reads no tensor on a GPU"
                return np.zeros(tensor.shape, DTYPES[tensor.dtype])
            if func is torch.Tensor.tolist:
                return np.zeros(tensor.shape).tolist()
            if func is torch.Tensor.nonzero:
                return torch.zeros(1, tensor.ndim, dtype=torch.long, device=tensor.device)
        # what fake tensors let pass: operands of a product, an index beside its table
        if func in (torch.nn.functional.linear, torch.nn.functional.embedding):
            first, second = args[:2]
            if first.device.type != second.device.type:
                raise RuntimeError(f"expected one device, found {first.device}, {second.device}")
            if func is torch.nn.functional.linear and first.dtype != second.dtype:
                raise RuntimeError(f"expected one type, found {first.dtype}, {second.dtype}")
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def fake_gpu():
    """Tensors made here are fake; real ones that take part, as weights or tokens, become so."""
    with (
        mock.patch.object(safetensors.torch, "load_file", real(safetensors.torch.load_file)),
        mock.patch.object(torch, "load", real(torch.load)),
        mock.patch.object(torch.jit, "load", real(torch.jit.load)),
        mock.patch.object(torch.nn.Module, "_apply", moved),
        FakeTensorMode(allow_non_fake_inputs=True),
        Reads(),
    ):
        yield CUDA


def moved(module: torch.nn.Module, change, recurse: bool = True) -> torch.nn.Module:
    """What `to` does to a module: new parameters, for a real one cannot hold fake values."""
    for part in module.modules() if recurse else [module]:
        for name, parameter in part._parameters.items():
            if parameter is not None:
                changed = change(parameter.detach())
                part._parameters[name] = torch.nn.Parameter(changed, parameter.requires_grad)
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else change(buffer)
    return module


def real(function):
    """The function as it is outside: what it reads or makes has values."""

    @functools.wraps(function)
    def outside(*args, **kwargs):
        with unset_fake_temporarily():
            return function(*args, **kwargs)

    return outside


def without(function, text: str, instead: str = ""):
    """The function as if `text` did not stand in it, such as `.to(self.device)`."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(text) == 1, f"{function.__qualname__} holds {text!r} not once"
    scope, flags = dict(inspect.unwrap(function).__globals__), __future__.annotations.compiler_flag
    exec(compile(source.replace(text, instead), function.__qualname__, "exec", flags), scope)
    return scope[function.__name__]
