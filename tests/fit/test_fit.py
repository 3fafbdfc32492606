"""The arithmetic of memory, against figures that others have published, and the presets against it."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from server.cli import main
from server.fit import budget, card_of, explain, read_source, shape_of
from server.nano import model_path
from server.settings import SettingsError, load_settings
from tests.conftest import ROOT

SHAPES = Path(__file__).parent / "shapes"
GIB = 2**30


def shape(name: str):
    return shape_of(json.loads((SHAPES / f"{name}.json").read_text()))


@pytest.mark.parametrize(
    ("name", "billions"),
    [("qwen3-8b", 8.19), ("qwen3-32b", 32.8), ("qwen2.5-72b", 72.7), ("qwen3-235b-fp8", 235.1), ("deepseek-v3", 671)],
)
def test_parameters_are_those_of_the_model_card(name: str, billions: float) -> None:
    assert shape(name).weights / 1e9 == pytest.approx(billions, rel=0.005)


def test_parameters_of_the_embedded_model_are_those_in_its_file() -> None:
    with safe_open(model_path() / "model.safetensors", "pt") as file:
        counted = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 (safe_open is no dict)
    assert shape_of(read_source(str(model_path())).config).weights == pytest.approx(counted, rel=0.005)


@pytest.mark.parametrize(
    ("name", "engine", "kib"),
    [
        ("qwen3-8b", {}, 144),  # 36 layers x 2 x 8 heads x 128 x 2 bytes
        ("qwen3-8b", {"kv_cache_dtype": "fp8"}, 72),
        ("qwen3-8b", {"tensor_parallel_size": 2}, 72),
        ("qwen3-8b", {"tensor_parallel_size": 16}, 18),  # a head is not split
        ("qwen3-8b", {"pipeline_parallel_size": 2}, 72),
        ("qwen3-32b", {"tensor_parallel_size": 2}, 128),
        ("deepseek-v3", {}, 61 * 576 * 2 / 1024),
        ("deepseek-v3", {"tensor_parallel_size": 8}, 61 * 576 * 2 / 1024),  # every card has the whole of it
    ],
)
def test_cache_of_one_token(name: str, engine: dict, kib: float) -> None:
    assert budget(shape(name), engine, card_of("h200"), 4096, 4096).token == pytest.approx(kib * 1024, abs=1)


def test_a_sliding_layer_keeps_its_window_and_no_more() -> None:
    config = json.loads((SHAPES / "qwen3-8b.json").read_text())
    kinds = ["sliding_attention"] * 18 + ["full_attention"] * 18
    mixed = budget(shape_of({**config, "layer_types": kinds, "sliding_window": 1024}), {}, card_of("h200"), 32768, 512)
    whole = budget(shape_of(config), {}, card_of("h200"), 32768, 512)
    assert mixed.window == whole.window * (18 * 32768 + 18 * 1024) / (36 * 32768)
    assert mixed.call == whole.call


PRESETS = [
    ("24gb-8b", "qwen3-8b-fp8", "24gb"),
    ("48gb-8b", "qwen3-8b", "48gb"),
    ("80gb-8b", "qwen3-8b", "80gb"),
    ("h200-8b", "qwen3-8b", "141gb"),
    ("2x80gb-32b", "qwen3-32b", "80gb"),
    ("4x80gb-72b", "qwen2.5-72b", "80gb"),
    ("8x80gb-235b", "qwen3-235b-fp8", "80gb"),
]


@pytest.mark.parametrize(("preset", "name", "card"), PRESETS)
def test_every_preset_fits_its_card(preset: str, name: str, card: str) -> None:
    settings = load_settings(ROOT / f"configs/{preset}.yaml", environment={})
    window = settings.model.context_window
    found = budget(shape(name), settings.engine, card_of(card), window, 4096)
    lines, fits = explain(found, shape(name), settings.engine, window, calls=8)
    assert fits, "\n".join(lines)
    assert found.weights + found.working + found.cache == found.usable
    assert found.windows >= 1


def test_every_preset_is_here() -> None:
    others = {"nano", "keys.example"}
    assert {file.stem for file in (ROOT / "configs").glob("*.yaml")} - others == {preset for preset, _, _ in PRESETS}


@pytest.mark.parametrize(
    ("name", "engine", "card", "window", "calls", "words"),
    [
        ("qwen3-32b", {}, "48gb", 32768, 1, "the model is too large by"),
        ("qwen3-8b", {}, "24gb", 32768, 1, "one whole window needs 4.5 GiB of cache"),
        ("qwen3-8b", {}, "48gb", 32768, 500, "500 calls of 4,096 tokens need 281.2 GiB of cache"),
        ("qwen3-8b", {}, "h200", 65536, 1, "made for 40,960 tokens, model.context_window is 65,536"),
        ("qwen3-8b", {"tensor_parallel_size": 3}, "h200", 32768, 1, "32 attention heads cannot be shared by 3"),
        ("qwen3-8b", {"kv_cache_memory_bytes": 40 * GIB}, "48gb", 32768, 1, "kv_cache_memory_bytes asks for 40.0 GiB"),
        ("qwen3-8b", {"kv_cache_memory_bytes": 5 * GIB}, "80gb", 32768, 16, f"kv_cache_memory_bytes: {9 * GIB}"),
    ],
)
def test_what_does_not_fit_is_said_with_numbers(name, engine, card, window, calls, words) -> None:
    found = budget(shape(name), engine, card_of(card), window, 4096)
    lines, fits = explain(found, shape(name), engine, window, calls)
    assert not fits
    assert words in "\n".join(lines)


def test_the_advice_fits() -> None:
    """The window and the number of calls that are proposed are such that it starts."""
    found = budget(shape("qwen3-8b"), {}, card_of("24gb"), 32768, 4096)
    smaller = found.tokens // 16 * 16
    assert explain(budget(shape("qwen3-8b"), {}, card_of("24gb"), smaller, 1024), shape("qwen3-8b"), {}, smaller, 1)[1]


def test_stored_weights_count_unless_they_are_changed_on_loading() -> None:
    whole, card = shape("qwen3-8b"), card_of("h200")
    assert budget(whole, {}, card, 4096, 4096, stored=10**10).weights == 10**10
    assert budget(whole, {"quantization": "fp8"}, card, 4096, 4096, stored=10**10).weights < 0.62 * 2 * whole.weights
    assert budget(whole, {"dtype": "float32"}, card, 4096, 4096, stored=10**10).weights == 4 * whole.weights


@pytest.mark.parametrize(
    ("text", "gib"),
    [("H200", 140.4), ("24gb", 22.5), ("L40S", 45.0), ("RTX-4090", 24.0), ("44GiB", 44), ("30 GB", 27.9)],
)
def test_cards_by_name_class_and_size(text: str, gib: float) -> None:
    assert card_of(text).memory / GIB == pytest.approx(gib, abs=0.1)


def test_an_unknown_card_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean `h100`"):
        card_of("h10o")


def test_a_mirror_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout that huggingface_hub keeps: what an air-gapped node is given."""
    import huggingface_hub.constants as constants

    commit = "0" * 40
    folder = tmp_path / "models--Qwen--Qwen3-8B"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "config.json").write_bytes((SHAPES / "qwen3-8b.json").read_bytes())
    index = {"metadata": {"total_size": 16381470720}, "weight_map": {}}
    (folder / "snapshots" / commit / "model.safetensors.index.json").write_text(json.dumps(index))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    source = read_source("Qwen/Qwen3-8B")
    assert (source.weights, shape_of(source.config)) == (16381470720, shape("qwen3-8b"))
    with pytest.raises(SettingsError, match="cannot be had from the hub"):
        read_source("Qwen/Qwen3-32B")


def test_check_says_it_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_bytes((SHAPES / "qwen3-8b.json").read_bytes())
    with pytest.raises(SystemExit) as ended:
        main(["check", "--model", str(tmp_path), "--gpu", "48gb", "--calls", "16", "--set", "engine.max_num_seqs=32"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "weights    15.3 GiB  (8.2 billion parameters)" in said
    assert "It fits." in said
    with pytest.raises(SystemExit) as ended:
        main(["check", "--model", str(tmp_path), "--gpu", "24gb"])
    assert ended.value.code == 1
    assert "It does not fit:" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["check", "--model", str(tmp_path / "nothing"), "--gpu", "24gb"])
    assert "there is no folder" in str(ended.value.code)
