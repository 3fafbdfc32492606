"""Atheris on the parsers of model output, guided by coverage. What found new ways is kept in tests/cases/parsers.jsonl.

pip install atheris; python -m benchmarks.fuzz_parsers --runs 200000
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).parent.parent / "tests" / "cases" / "parsers.jsonl"
LONGEST = 300  # bytes
SUMMARY = "-print_final_stats=1"


def kept() -> list[bytes]:
    """One input a line, as a JSON string of its bytes in Latin-1."""
    return [json.loads(line).encode("latin-1") for line in KEPT.read_text().splitlines()] if KEPT.exists() else []


def keep(inputs: list[bytes]) -> None:
    KEPT.write_text("".join(json.dumps(one.decode("latin-1")) + "\n" for one in sorted(inputs)))


def fuzz(program: str, arguments: list[str]) -> None:
    """Ends the process. program: how the fuzzer can start itself again."""
    import atheris

    with atheris.instrument_imports(include=["server.parsing"]):
        from benchmarks.parser_input import check
    atheris.Setup([program, *arguments], check)
    atheris.Fuzz()


def run(runs: int) -> None:
    """Fuzz in a process of its own, then merge what was found with what was kept."""
    from benchmarks.parser_input import seeds

    with tempfile.TemporaryDirectory() as folder:
        found, merged = Path(folder, "found"), Path(folder, "merged")
        found.mkdir(), merged.mkdir()
        for number, one in enumerate([*kept(), *seeds()]):
            (found / f"seed-{number}").write_bytes(one)
        program = Path(folder, "fuzz")
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m benchmarks.fuzz_parsers --libfuzzer "$0" "$@"\n')
        program.chmod(0o755)
        length = f"-max_len={LONGEST}"
        subprocess.run([program, length, f"-runs={runs}", "-timeout=20", SUMMARY, str(found)], check=True)
        subprocess.run([program, length, "-merge=1", str(merged), str(found)], check=True)
        keep([file.read_bytes() for file in merged.iterdir()])


def main() -> None:
    if sys.argv[1:2] == ["--libfuzzer"]:
        fuzz(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200_000)
    run(parser.parse_args().runs)


if __name__ == "__main__":
    main()
