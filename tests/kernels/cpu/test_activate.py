"""The plugin acts where vLLM has no platform, and nowhere else."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest
import vllm.platforms

import kernels.cpu
from kernels.cpu import GROUP, PLATFORM, activate


def found() -> str | None:
    return "some.other.Platform"


def absent() -> str | None:
    return None


def broken() -> str | None:
    raise OSError("driver not loaded")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine where vLLM's own probes answer so, with these platform plugins (name: place) beside ours."""

    def set_up(probes: dict[str, Callable[[], str | None]], **plugins: str) -> None:
        values = {"electron_cpu": "kernels.cpu:activate"} | plugins
        installed = [EntryPoint(name, value, GROUP) for name, value in values.items()]
        monkeypatch.setattr(vllm.platforms, "builtin_platform_plugins", probes)
        monkeypatch.setattr(kernels.cpu, "entry_points", lambda group: installed)
        monkeypatch.delenv("VLLM_PLUGINS", raising=False)

    return set_up


def test_without_any_accelerator_it_acts(machine: Callable[..., None]) -> None:
    machine({"cuda": absent, "rocm": absent, "xpu": absent, "tpu": absent, "cpu": absent})
    assert activate() == PLATFORM


@pytest.mark.parametrize("name", ["cuda", "rocm", "xpu", "tpu", "cpu"])
def test_where_vllm_has_a_platform_it_does_not(machine: Callable[..., None], name: str) -> None:
    machine({"tpu": absent, "cuda": absent, "cpu": absent} | {name: found})
    assert activate() is None


def test_a_broken_probe_is_no_platform(machine: Callable[..., None]) -> None:
    machine({"cuda": broken, "cpu": absent})
    assert activate() == PLATFORM


def test_another_plugin_goes_first(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.cpu.other_found", found, raising=False)
    monkeypatch.setattr("kernels.cpu.other_absent", absent, raising=False)
    machine({"cuda": absent}, npu="kernels.cpu:other_absent")
    assert activate() == PLATFORM
    machine({"cuda": absent}, npu="kernels.cpu:other_found")
    assert activate() is None
    monkeypatch.setenv("VLLM_PLUGINS", "electron_cpu")  # the user has switched the other one off
    assert activate() == PLATFORM


def test_a_plugin_that_cannot_be_loaded_is_no_platform(machine: Callable[..., None]) -> None:
    machine({"cuda": absent}, npu="no_such_module:activate")
    assert activate() == PLATFORM


def test_it_never_raises(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine({"cuda": absent})
    monkeypatch.setattr(kernels.cpu, "entry_points", lambda group: 1 / 0)
    assert activate() is None


def test_importing_it_is_light() -> None:
    code = "import sys, kernels.cpu; print([name for name in ('torch', 'vllm', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_asking_does_not_initialise_cuda() -> None:
    code = "import kernels.cpu, torch; kernels.cpu.activate(); print(torch.cuda.is_initialized())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
