"""The operator under Triton's interpreter, in a process of its own: the interpreter is chosen when Triton is imported,
and would change it for every other test. Reads pickled cases from standard input, answers on standard output."""

import os
import pickle
import sys

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle, _convert_float

from kernels.shared_prefix_attention.op import Buffers, attend


def widen(handle: TensorHandle) -> TensorHandle:
    """bf16, which the interpreter keeps as 16-bit integers and multiplies as such, to float32, without loss."""
    if handle.dtype.scalar != tl.bfloat16:
        return handle
    return TensorHandle(_convert_float(handle.data, tl.bfloat16, tl.float32, None).view(np.float32), tl.float32)


class Builder(InterpreterBuilder):
    def create_dot(self, a: TensorHandle, b: TensorHandle, *others: object) -> TensorHandle:
        return super().create_dot(widen(a), widen(b), *others)


def main() -> None:
    torch.set_num_threads(1)
    interpreter.interpreter_builder.__class__ = Builder
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr
    while case := pickle.load(sys.stdin.buffer):
        query, cache, table, lengths, work, capacity, scale, launch = case
        buffers = Buffers.make(capacity, *query.shape[1:], torch.device("cpu"))
        buffers.out_parts.fill_(torch.nan), buffers.lse_parts.fill_(torch.nan)
        buffers.load(work)
        output = torch.full_like(query, torch.nan)
        attend(query, cache, table, lengths, buffers, output, scale, launch)
        pickle.dump(output, answers)
        answers.flush()


if __name__ == "__main__":
    main()
