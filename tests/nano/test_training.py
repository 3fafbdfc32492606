import json
import shutil

import pytest
import torch

from server.nano import model_path
from server.nano.train.__main__ import main
from server.nano.train.evaluate import make_exam, score
from server.nano.train.loop import Options, Trainer
from server.nano.train.optimizer import FULL_FROM, GENTLE, GENTLE_UNTIL, WARM_UP, rate_factor

SMALL = {"batch_tokens": 512, "every": 2, "questions": 4, "compiled": False}


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()])


def test_stopping_and_going_on_loses_nothing_but_waiting_conversations(tmp_path):
    first = Trainer(model_path(), Options(steps=2, **SMALL))
    first.run(tmp_path / "state.pt")
    second = Trainer(model_path(), Options(steps=4, **SMALL))
    second.run(tmp_path / "state.pt")
    assert [row["step"] for row in second.progress.history] == [2, 4]
    assert second.progress.number > first.progress.number
    assert first.progress.tokens < second.progress.tokens <= 4 * 512
    loaded = Trainer(model_path(), Options(steps=4, **SMALL))
    loaded.load(tmp_path / "state.pt")
    assert torch.equal(weights(loaded), weights(second))


def test_a_few_steps_lower_the_loss(tmp_path):
    trainer = Trainer(model_path(), Options(steps=12, **{**SMALL, "every": 12}))
    exam = make_exam(trainer.encoder, 8)
    before = score(trainer.model, trainer.encoder, exam)["loss"]
    trainer.run(tmp_path / "state.pt")
    assert score(trainer.model, trainer.encoder, exam)["loss"] < before


def test_the_rate_begins_gently_stays_and_cools_to_nothing():
    assert rate_factor(0, None, 1000) == pytest.approx(GENTLE / WARM_UP)
    rising = [rate_factor(step, None, 9000) for step in range(FULL_FROM + 1)]
    assert rising == sorted(rising)
    assert rising[WARM_UP] == rising[GENTLE_UNTIL] == GENTLE
    assert rising[FULL_FROM] == rate_factor(8999, None, 9000) == 1.0
    cooling = [rate_factor(step, 8800, 9000) for step in range(8800, 9001)]
    assert cooling == sorted(cooling, reverse=True)
    assert (cooling[0], cooling[-1]) == (1.0, 0.0)


def test_weights_that_have_learned_go_on_at_the_full_rate(tmp_path):
    trainer = Trainer(model_path(), Options(steps=2, again=50_000, **SMALL))
    assert torch.equal(weights(trainer), weights(Trainer(model_path(), Options(steps=2, again=0, **SMALL))))
    trainer.run(tmp_path / "state.pt")
    assert trainer.progress.number > 50_000
    resumed = Trainer(model_path(), Options(steps=4, **SMALL))
    resumed.load(tmp_path / "state.pt")
    assert not resumed.progress.gently
    assert rate_factor(WARM_UP, None, 9000, gently=False) == 1.0


def test_the_commands_train_cool_and_write_a_model(tmp_path, monkeypatch):
    folder, cache = tmp_path / "nano", tmp_path / "cache"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(model_path() / name, folder)
    common = ["--every", "1", "--batch-tokens", "512", "--eager", "--questions", "4"]
    average = ["average", str(folder / "model.safetensors")]
    for command in (["train", "--steps", "1", *common], ["cool", "--steps", "1", "--rate", "0.5", *common], average):
        monkeypatch.setattr("sys.argv", ["train", "--folder", str(folder), "--cache", str(cache), *command])
        main()
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["Qwen3ForCausalLM"]
    assert (folder / "model.safetensors").exists()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
