"""The voice benchmark: what it asks, what it hears, what it reckons."""

import json
import math
import random
import re
from collections.abc import AsyncIterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from benchmarks.voice import plots, readme, shapes, tables, versus
from benchmarks.voice.__main__ import main
from benchmarks.voice.capacity import capacities, capacity
from benchmarks.voice.client import ask
from benchmarks.voice.load import Load, Run
from benchmarks.voice.noise import paired
from benchmarks.voice.profiles import PROFILES
from benchmarks.voice.records import BARGE_IN, OK, Request
from benchmarks.voice.results import read, result_of, write
from benchmarks.voice.script import script
from benchmarks.voice.servers import OURS, THEIRS, Endpoint, settings_of, vllm_options
from benchmarks.voice.summary import Slo, quantile, summarize, within
from benchmarks.voice.tool_turn import tool_turn
from server.settings import Settings
from tests.conftest import ROOT, Server

SLO = Slo()


def test_the_same_seed_gives_the_same_calls_and_tenants_share_their_prompts() -> None:
    profile = PROFILES["support"]
    calls = [script(profile, 7, number) for number in range(40)]
    assert calls == [script(profile, 7, number) for number in range(40)]
    assert calls != [script(profile, 8, number) for number in range(40)]
    prompts = {call.tenant: {other.system for other in calls if other.tenant == call.tenant} for call in calls}
    assert all(len(each) == 1 for each in prompts.values())
    assert len({system for each in prompts.values() for system in each}) == len(prompts) > 1
    assert any(turn.tool for call in calls for turn in call.turns)
    assert any(turn.barge_in for call in calls for turn in call.turns)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_script_keeps_to_its_profile(profile) -> None:
    for call in (script(profile, 1, number) for number in range(20)):
        assert profile.turns[0] <= len(call.turns) <= profile.turns[1]
        for turn in call.turns:
            assert profile.think[0] <= turn.think <= profile.think[1]
            assert profile.answer[0] <= turn.answer <= profile.answer[1]


def _event(**choice: object) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': choice}]})}\n\n"


USAGE = {"prompt_tokens": 30, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 16}}
TOOL_TURN = "".join(
    (
        _event(role="assistant", content=""),
        ": ping\n\n",
        _event(content="One moment, please."),
        _event(content=" "),
        _event(content="Let me see."),
        _event(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "look_up", "arguments": ""}}]),
        _event(tool_calls=[{"index": 0, "function": {"arguments": '{"a": '}}]),
        _event(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
        f"data: {json.dumps({'choices': [], 'usage': USAGE})}\n\n",
        "data: [DONE]\n\n",
    )
)


class _Split(httpx.AsyncByteStream):
    def __init__(self, text: str, cuts: list[int]) -> None:
        self._parts = [text.encode()[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def _request(**fields: object) -> Request:
    return replace(Request(number=0, turn=0, tenant=0, at=0.0, calls=1, tool=False), **fields)


async def _heard(text: str, cuts: list[int], status: int = 200) -> tuple[Request, dict]:
    request = _request(tool=True)
    transport = httpx.MockTransport(lambda _: httpx.Response(status, stream=_Split(text, cuts)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/v1") as client:
        heard = await ask(client, {}, request, None)
    return request, heard.message()


@pytest.mark.parametrize("seed", range(20))
async def test_a_stream_is_heard_the_same_however_it_is_split(seed: int) -> None:
    chance = random.Random(seed)
    request, message = await _heard(TOOL_TURN, sorted(chance.sample(range(len(TOOL_TURN)), 12)))
    assert request.outcome == OK
    assert message["content"] == "One moment, please. Let me see."
    assert message["tool_calls"][0]["function"] == {"name": "look_up", "arguments": '{"a": 1}'}
    assert request.valid is True
    assert len(request.pieces) == 5
    assert request.first is not None and request.clause is not None and request.call is not None
    assert request.first <= request.clause <= request.call <= request.end
    assert (request.prompt_tokens, request.cached_tokens, request.output_tokens) == (30, 16, 9)


@pytest.mark.parametrize(
    ("words", "markup"),
    [
        ("I am 5 < 6 years old.", False),
        ('<tool_call> {"name"', True),
        ('{ "name": 1}', True),
        ("<|im_end|>", True),
        ("", None),
    ],
)
async def test_what_a_voice_would_read_out_is_seen(words: str, markup: bool | None) -> None:
    text = (_event(content=words) if words else _event(role="assistant")) + "data: [DONE]\n\n"
    assert (await _heard(text, [3]))[0].markup is markup


@pytest.mark.parametrize(
    ("text", "status", "outcome"),
    [
        (_event(content="Hello"), 200, "cut off"),
        (_event(content="Hello") + 'event: error\ndata: {"error": {"message": "gone"}}\n\n', 200, "error event"),
        ("{}", 503, "HTTP 503"),
    ],
)
async def test_what_went_wrong_is_told(text: str, status: int, outcome: str) -> None:
    assert (await _heard(text, [], status))[0].outcome == outcome


def test_quantiles_lie_between_neighbours() -> None:
    assert quantile([], 50) is None
    assert quantile([4.0, 1.0], 50) == 2.5
    assert quantile([1.0, 2.0, 3.0, 4.0, 5.0], 95) == pytest.approx(4.8)


def _answer(first: float, gap: float, **fields: object) -> Request:
    pieces = [first + gap * index for index in range(10)]
    usage = {"prompt_tokens": 100, "cached_tokens": 80, "output_tokens": 10}
    return _request(outcome=OK, first=first, pieces=pieces, end=pieces[-1], **usage, **fields)


def test_the_slo_counts_what_failed_and_ignores_gaps_that_nobody_hears() -> None:
    good, slow, choppy = _answer(100, 20), _answer(400, 20), _answer(100, 40)
    call = _answer(100, 400, tool=True, call=150.0, valid=True)
    failed = _request(outcome="HTTP 503", end=3.0)
    cut = _answer(50, 10)
    cut.outcome = BARGE_IN
    summary = summarize(Run([good, slow, choppy, call, failed, cut], seconds=3.0), SLO)
    assert summary["within_slo"] == 0.5
    assert summary["goodput"] == 1.0
    assert summary["errors"] == 1
    assert summary["cache_hit_ratio"] == 0.8
    assert summary["gap"]["p50"] == 20
    assert summary["first"]["count"] == 4
    assert not within(summary, SLO)
    assert within(summarize(Run([good, call, cut], seconds=3.0), SLO), SLO)
    assert not within(summarize(Run([], seconds=3.0), SLO), SLO)


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 17, 64, 100, 511])
def test_bisection_finds_the_largest_load_that_keeps(limit: int) -> None:
    found = capacity(lambda calls: calls <= limit, most=512, precision=0.0)
    assert found.calls == limit
    assert found.bounded
    assert len(found.tried) <= 20


def test_two_servers_are_tried_by_turns() -> None:
    order: list[str] = []

    def server(name: str, limit: int):
        return lambda calls: order.append(name) or calls <= limit

    found = capacities([server("a", 5), server("b", 90)], most=512)
    assert found[0].calls == 5 and 86 <= found[1].calls <= 90
    steps = len(found[0].tried)
    assert order[: 2 * steps] == ["a", "b"] * steps and set(order[2 * steps :]) == {"b"}


def test_a_server_that_keeps_the_most_is_said_to_be_unbounded() -> None:
    found = capacity(lambda calls: True, most=100)
    assert (found.calls, found.bounded) == (100, False)


def _result(name: str, first: float, rounds: int = 1, **options: object):
    requests = [_answer(first + index, 10, round=part) for part in range(rounds) for index in range(20)]
    said = {"name": name, "command": "python -m benchmarks.voice", "profile": "small", "duration": 3.0, "ramp": 1.0}
    return result_of(Run(requests, seconds=2.0 * rounds), SLO, {**said, "rounds": rounds, **options})


def test_a_file_of_results_says_the_same_when_it_is_read(tmp_path: Path) -> None:
    results = [_result("a", 50.0), _result("b", 75.0)]
    write(tmp_path / "r.jsonl", results)
    again = read(tmp_path / "r.jsonl")
    assert [one.summary for one in again] == [one.summary for one in results]
    assert [len(one.requests) for one in again] == [20, 20]
    assert again[0].environment["cores"]
    (tmp_path / "bad.jsonl").write_text('{"kind": "recipe"}\n')
    with pytest.raises(ValueError, match="recipe"):
        read(tmp_path / "bad.jsonl")


def test_compare_says_how_many_times_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, first in (("ours", 50.0), ("theirs", 100.0)):
        write(tmp_path / f"{name}.jsonl", [_result(name, first)])
    picture = tmp_path / "both.png"
    assert (
        main(["compare", *(str(tmp_path / f"{name}.jsonl") for name in ("ours", "theirs")), "--plot", str(picture)])
        == 0
    )
    row = next(line for line in capsys.readouterr().out.splitlines() if "TTFT p50" in line)
    assert [cell.strip() for cell in row.split("|")[2:5]] == ["59.5", "109.5", "1.84x"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_table_has_a_row_for_each_figure_and_load(tmp_path: Path) -> None:
    firsts = {"ours": 50.0, "theirs": 100.0}
    capacity = {"calls": 5, "bounded": True, "tried": [[5, True], [6, False]]}
    results = [
        _result(name, firsts[name], rounds=6, calls=calls, capacity=capacity)
        for calls in (1, 16)
        for name in ("ours", "theirs")
    ]
    table = tables.by_load(results)
    silent = {"first piece of a tool turn p50", "first speakable clause p50", "first clause of a tool turn p50"}
    silent |= {"name of the tool p50", "calls whose arguments parse", "answers with markup in their words"}
    silent |= {"processor time of the API process"}
    assert len(table.splitlines()) == 2 + 2 * len(set(tables.ROWS) - silent)
    first = next(line for line in table.splitlines() if "TTFT p50" in line)
    assert [cell.strip() for cell in first.split("|")[3:7]] == ["59.5", "109.5", "1.84x", "1.84 to 1.84: better"]
    assert "ours: 5 calls within the SLO (tried: 5 yes, 6 no)" in tables.capacities(results)
    for shown in (results, results[::2]):  # of two servers, of one alone
        plots.by_load(shown, tmp_path / "loads.png")
        assert (tmp_path / "loads.png").stat().st_size > 10_000


def test_more_tokens_are_no_better_where_lengths_are_the_models_own(tmp_path: Path) -> None:
    results = [_result(name, 50.0, rounds=2, calls=1, length="free") for name in ("ours", "theirs")]
    lines = tables.by_load(results).splitlines()
    cells = {row.split("|")[2].strip(): row.split("|")[5].strip() for row in lines[2:]}
    assert (cells["output tokens, /s"], cells["TTFT p50, ms"]) == ("", "1.00x")
    plots.by_load(results, tmp_path / "few.png")  # of too few rounds to say how sure a ratio is
    assert (tmp_path / "few.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [6, 12, 25])
def test_a_ratio_is_told_from_noise_as_surely_as_it_says(count: int) -> None:
    """Of ratios around 1 few are called better or worse; all of those around 1.5 are better."""
    chance = random.Random(count)
    found = [paired([chance.lognormvariate(0.0, 0.1) for _ in range(count)]) for _ in range(400)]
    wrong = sum(one is None or one.verdict != "within noise" for one in found)
    assert wrong <= 400 * 0.05 + 4 * math.sqrt(400 * 0.05 * 0.95)
    assert all(one and one.low <= one.ratio <= one.high for one in found)
    better = paired([1.5 + 0.01 * index for index in range(count)])
    assert better and better.verdict == "better"
    assert paired([1.5] * 5) is None


def test_the_readme_has_the_tables_of_the_result_files() -> None:
    assert readme.main(check=True) == 0, "python -m benchmarks.voice readme"


def test_vllm_is_started_with_the_same_engine_arguments() -> None:
    settings = settings_of(ROOT / "configs/h200-8b.yaml", ["model.context_window=4096"])
    options = vllm_options(settings)
    assert options["max-model-len"] == 4096
    assert {name.replace("_", "-"): value for name, value in settings.engine.items()}.items() <= options.items()
    assert options["default-chat-template-kwargs"] == {"enable_thinking": False}
    assert vllm_options(Settings())["served-model-name"] == ["electron"]


@pytest.mark.parametrize("together", [False, True])
def test_each_round_gives_both_servers_the_same_calls_and_the_next_one_begins_with_the_other(
    together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, met, models = [], [], set()

    @contextmanager
    def up(name: str, *arguments: object):
        models.update(one.model.path for one in arguments if isinstance(one, Settings))
        yield Endpoint(name, "http://nowhere/v1")

    monkeypatch.setattr(versus, "ours", partial(up, OURS))
    monkeypatch.setattr(versus, "theirs", partial(up, THEIRS))
    plan = versus.Plan(ROOT / "configs/nano.yaml", [], (1, 4), 2, together, 0, 0, "qwen3-0.6b")
    results = versus.versus(
        plan,
        Load(seed=5),
        SLO,
        lambda endpoint: met.append(endpoint.name),
        lambda endpoint, load: asked.append((endpoint.name, load.calls, load.seed)) or Run(),
        lambda endpoint, load, runs: (endpoint.name, load.calls, len(runs)),
    )
    assert results == [(OURS, 1, 2), (THEIRS, 1, 2), (OURS, 4, 2), (THEIRS, 4, 2)]
    assert met == [OURS, THEIRS]
    first, second = [one for one in asked if one[2] == 5], [one for one in asked if one[2] == 6]
    assert asked == first + second and {one[:2] for one in first} == {one[:2] for one in second}
    assert (first[0][0], second[0][0]) == (OURS, THEIRS)
    assert [Path(model).name for model in models] == ["qwen3-0.6b"]


def test_a_tool_turn_is_told_as_it_was_heard(server: Server) -> None:
    said = tool_turn("ours", server.url, "electron", "any")
    assert re.fullmatch(
        r'ours, a tool turn: "[^<>{}\[\]]+" from \d+ ms on, get_weather \{"city": "Pune"\} from \d+ ms on', said
    )
    assert tool_turn("ours", server.url, "nobody", "any") == "ours, a tool turn: HTTP 400"


def test_a_shape_is_a_model_folder_of_that_size(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    assert main(["shape", "qwen3-8b", str(tmp_path / "m")]) == 0
    config = AutoConfig.from_pretrained(tmp_path / "m")
    assert (config.hidden_size, config.num_hidden_layers) == (4096, 36)
    assert len(AutoTokenizer.from_pretrained(tmp_path / "m")) <= config.vocab_size
    assert set(shapes.SHAPES) == {"qwen3-0.6b", "qwen3-4b", "qwen3-8b"}


def test_calls_to_a_real_server_are_measured(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live.jsonl"
    what = ["--rate", "1.5", "--profile", "small", "--duration", "8", "--ramp", "1"]
    assert main(["--url", server.url, *what, "--out", str(out), "--quiet"]) == 0
    assert "goodput" in capsys.readouterr().out
    result = read(out)[0]
    summary = result.summary
    assert summary["errors"] == 0
    assert set(summary["outcomes"]) <= {OK, BARGE_IN}
    assert summary["requests"] > 0
    assert all(1.0 <= one.at < 8.0 for one in result.requests)
    whole = [one for one in result.requests if one.outcome == OK and not one.tool]
    assert whole and all(12 <= one.output_tokens <= 24 for one in whole)
    assert all(one.call is not None and one.valid for one in result.requests if one.tool)
    assert 0 < summary["cache_hit_ratio"] < 1
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
