"""What turns the backend on, what refuses to, and the figures that it leaves."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kernels.shared_prefix_attention import BACKEND, CONFIG
from kernels.shared_prefix_attention.counters import NAMES, Counters
from kernels.shared_prefix_attention.gate import Gate, Threshold, read_gate

TABLE = {"device": "NVIDIA H200", "thresholds": [{"requests": 16, "tokens": 256}, {"requests": 4, "tokens": 2048}]}


def test_between_two_thresholds_the_more_cautious_counts() -> None:
    gate = Gate.of(TABLE)
    assert gate.thresholds == (Threshold(4, 2048), Threshold(16, 256)) and gate.least == 4
    assert not gate.pays(3, 10**6)
    assert not gate.pays(15, 2047) and gate.pays(15, 2048)
    assert not gate.pays(16, 255) and gate.pays(200, 256)


@pytest.mark.parametrize("table", [{}, {"device": "x", "thresholds": []}, {"device": "x", "thresholds": [{}]}, []])
def test_a_table_that_is_none(table: object, tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match="gate of shared_prefix_attention"):
        read_gate(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_gate(tmp_path / "none.json")


def test_one_process_counts_and_another_reads(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.touch()
    writer, reader = Counters(path), Counters(path)
    writer.add(decode_steps=2, bytes_saved=2**40)
    writer.add(decode_steps=1)
    assert reader.read() == dict.fromkeys(NAMES, 0) | {"decode_steps": 3, "bytes_saved": 2**40}


def test_the_default_is_off() -> None:
    from server.settings import Settings

    assert Settings().kernels.shared_prefix_gate is None


def test_it_needs_an_nvidia_gpu(tmp_path: Path) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform

    from server.engine.shared_prefix import read_shared_prompts_once
    from server.settings import SettingsError

    if not current_platform.is_cuda():
        with pytest.raises(SettingsError, match="NVIDIA GPU"):
            read_shared_prompts_once(AsyncEngineArgs("m"), tmp_path / "gate.json")


def test_the_engine_gets_backend_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    from server.engine import shared_prefix
    from server.settings import SettingsError

    path = tmp_path / "gate.json"
    path.write_text(json.dumps(TABLE))
    monkeypatch.setattr(shared_prefix, "current_platform", SimpleNamespace(is_cuda=lambda: True))
    args = shared_prefix.read_shared_prompts_once(AsyncEngineArgs("m", additional_config={"other": 1}), path)
    assert args.attention_backend.name == "CUSTOM" and args.additional_config["other"] == 1
    assert args.additional_config[CONFIG]["gate"] == TABLE
    Counters(Path(args.additional_config[CONFIG]["counters"])).add(shared_steps=7)
    from prometheus_client import REGISTRY

    assert REGISTRY.get_sample_value("electron_shared_prefix_shared_steps_total") == 7
    with pytest.raises(SettingsError, match="exclude one another"):
        shared_prefix.read_shared_prompts_once(args, path)


def test_the_plugin_names_the_backend() -> None:
    from vllm.plugins import load_general_plugins
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    load_general_plugins()
    assert AttentionBackendEnum.CUSTOM.get_path() == BACKEND


def test_block_tables_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second runner's own class, without a GPU to put its tables on: what it is told, the mirror has."""
    from vllm.v1.worker.gpu import buffer_utils

    from kernels.shared_prefix_attention import mirror

    monkeypatch.setattr(buffer_utils, "is_uva_available", lambda: False)

    tables = mirror.MirroredBlockTables([16], 4, 64, [8], torch.device("cpu"))
    tables.append_block_ids(2, ([5, 6],), overwrite=True)
    tables.append_block_ids(1, ([5, 6, 7],), overwrite=True)
    tables.append_block_ids(2, ([9],), overwrite=False)
    prefixes = mirror.find(tables.input_block_tables[0][:3])
    assert prefixes is tables.prefixes[0] and mirror.find(torch.zeros(1, 8, dtype=torch.int32)) is None
    assert prefixes.tables[2, :3].tolist() == [5, 6, 9] and prefixes.common[1, 2] == 2
    tables.append_block_ids(2, ([1],), overwrite=True)
    assert prefixes.common[1, 2] == 0 and np.array_equal(prefixes.writes, [0, 1, 2, 0])
