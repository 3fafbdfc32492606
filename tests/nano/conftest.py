import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from server.nano import model_path


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(model_path())
