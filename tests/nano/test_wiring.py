import torch

from server.nano import model_path
from server.nano.train.data import Encoder
from server.nano.train.model import new_model

FRESH = new_model(Encoder(model_path()).tokenizer.backend_tokenizer, seed=3)


def test_a_fresh_model_repeats_what_it_has_seen_once():
    generator = torch.Generator().manual_seed(0)
    once = torch.randint(0, FRESH.config.vocab_size, (4, 80), generator=generator)
    ids = torch.cat([once, once], dim=1)
    with torch.no_grad():
        guesses = FRESH(ids).logits[:, 80:-1].argmax(-1)
    # The copying heads match 64 random channels of each code, so a few of 4,096 codes may be mistaken.
    assert (guesses == once[:, 1:]).float().mean() > 0.9


def test_everything_in_it_can_still_be_trained():
    ids = torch.arange(40).repeat(1, 2)
    FRESH(ids, labels=ids).loss.backward()
    matrices = {
        name: weight
        for name, weight in FRESH.named_parameters()
        if name.endswith(("o_proj.weight", "embed_tokens.weight"))
    }
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in matrices.values())


def test_a_fresh_model_finds_the_tool_whose_words_are_in_the_request():
    """Above chance at once, which is what training starts from: three tools, each asked for by its description."""
    encoder = Encoder(model_path())
    tools = {"narbel": "Lock the card.", "wexford": "Check the weather.", "quimby": "Find a parcel."}
    offered = [{"type": "function", "function": {"name": n, "description": d}} for n, d in tools.items()]
    for name, description in tools.items():
        chat = [{"role": "user", "content": description}]
        prompt = encoder.tokenizer.apply_chat_template(chat, tools=offered, tokenize=False, add_generation_prompt=True)
        ids = encoder.tokenizer.encode(prompt + '<tool_call>\n{"name": "', return_tensors="pt")
        with torch.no_grad():
            logits = FRESH(ids).logits[0, -1]
        first = {other: int(encoder.tokenizer.encode(other)[0]) for other in tools}
        assert max(first, key=lambda other: float(logits[first[other]])) == name
