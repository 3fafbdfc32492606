import base64

import pytest

from benchmarks.grammar_cost import main
from server.prompt.filler.scripts import SCRIPTS


def test_a_vocabulary_of_bytes(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ranks = tmp_path / "bytes.tiktoken"
    ranks.write_text("".join(f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256)))
    monkeypatch.setattr("sys.argv", ["grammar_cost", "--ranks", str(ranks), "--tools", "2", "--sets", "2"])
    main()
    said = capsys.readouterr().out
    assert said.startswith("257 tokens")
    assert all(f"  {script.name}" in said for script in SCRIPTS)
    assert "us each" in said
