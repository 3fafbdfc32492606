"""`python -m server.nano.train`: make the tokenizer, train, cool down to weights, average some; in this order."""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from server.nano import model_path
from server.nano.train.curves import draw
from server.nano.train.data import Encoder
from server.nano.train.loop import Options, Trainer
from server.nano.train.model import averaged, load_model, new_model, save_model, save_tokenizer
from server.nano.train.vocabulary import make_tokenizer

CACHE = Path.home() / ".cache" / "electron-nano"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m server.nano.train", description=__doc__)
    parser.add_argument("--folder", type=Path, default=model_path(), help="where the model's files are")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where checkpoints are kept")
    parser.add_argument("--seed", type=int, default=0)
    commands = parser.add_subparsers(dest="command", required=True)
    tokenizer = commands.add_parser("tokenizer", help="learn the tokenizer and write it with random weights")
    tokenizer.add_argument("--conversations", type=int, default=12_000)
    train = commands.add_parser("train", help="train, or go on training, at a constant rate")
    train.add_argument("--steps", type=int, default=20_000)
    cool = commands.add_parser(
        "cool", help="branch off the checkpoint, lower the rate to nothing, write weights and curves"
    )
    cool.add_argument("--steps", type=int, default=400)
    train.add_argument(
        "--again", type=int, metavar="NUMBER", help="the weights in the folder learn on, from that conversation"
    )
    average = commands.add_parser("average", help="the mean of the folder's weights and of others that began alike")
    average.add_argument("others", type=Path, nargs="+", help="safetensors files; one that is named twice counts twice")
    for command in (train, cool):
        command.add_argument("--rate", type=float, default=1.0, help="share of the full rate")
        command.add_argument("--every", type=int, default=200, help="steps between evaluations")
        command.add_argument("--questions", type=int, default=120, help="held-out conversations per evaluation")
        command.add_argument("--batch-tokens", type=int, default=4096)
        command.add_argument("--eager", action="store_true", help="do not compile the layers")
        command.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    commands_ = {"tokenizer": make_files, "train": train_weights, "cool": cool_down, "average": average_weights}
    commands_[arguments.command](arguments)


def make_files(arguments: argparse.Namespace) -> None:
    tokenizer = make_tokenizer(Encoder(arguments.folder), arguments.conversations)
    save_tokenizer(tokenizer, arguments.folder)
    save_model(new_model(tokenizer, arguments.seed), arguments.folder)


def train_weights(arguments: argparse.Namespace) -> None:
    trainer = Trainer(arguments.folder, replace(_options(arguments, arguments.steps, 0), again=arguments.again))
    trainer.run(arguments.cache / "steady.pt")


def cool_down(arguments: argparse.Namespace) -> None:
    """The steady checkpoint stays as it is, so that training can go on from it."""
    steady, cooled = arguments.cache / "steady.pt", arguments.cache / "cooled.pt"
    shutil.copyfile(steady, cooled)
    step = torch.load(steady, weights_only=True)["progress"]["step"]
    trainer = Trainer(arguments.folder, _options(arguments, step + arguments.steps, arguments.steps))
    trainer.run(cooled)
    save_model(trainer.model, arguments.folder)
    draw(trainer.progress.history, arguments.folder / "curves.png")


def average_weights(arguments: argparse.Namespace) -> None:
    model = load_model(arguments.folder)
    save_model(averaged(model, arguments.others), arguments.folder)


def _options(arguments: argparse.Namespace, steps: int, cool: int) -> Options:
    return Options(
        steps,
        cool,
        arguments.seed,
        arguments.batch_tokens,
        arguments.every,
        arguments.questions,
        compiled=not arguments.eager,
        device=arguments.device,
        rate=arguments.rate,
    )


if __name__ == "__main__":
    main()
