import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

Attend = Callable[..., torch.Tensor]

collect_ignore = [] if torch.cuda.is_available() else ["test_gpu.py"]


def pytest_report_header() -> str:
    return f"shared_prefix_attention: {'test_gpu.py needs an NVIDIA GPU' if collect_ignore else 'with test_gpu.py'}"


@pytest.fixture(scope="session")
def interpreted() -> Iterator[Attend]:
    """`op.attend` under Triton's interpreter, see there; the output was poisoned before."""
    command = [sys.executable, str(Path(__file__).with_name("interpreted.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def attend(*case: object) -> torch.Tensor:
            pickle.dump(case, process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)

        yield attend
        pickle.dump(None, process.stdin)
        process.stdin.close()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
