import pytest

from server.engine.options import check_engine_options, engine_args
from server.settings import ModelSettings, SettingsError


def test_options_reach_vllm_untouched() -> None:
    args = engine_args("folder", ModelSettings(context_window=4096), {"max_num_seqs": 7, "dtype": "float32"}, {})
    assert (args.model, args.max_model_len, args.max_num_seqs, args.dtype) == ("folder", 4096, 7, "float32")


def test_a_default_of_ours_is_no_more_than_that() -> None:
    buckets = {"time_to_first_token": (0.1, 0.2)}
    ours = engine_args("folder", ModelSettings(), {}, buckets)
    assert (ours.scheduling_policy, ours.custom_histogram_buckets) == ("priority", {"time_to_first_token": [0.1, 0.2]})
    assert engine_args("folder", ModelSettings(), {"scheduling_policy": "fcfs"}, buckets).scheduling_policy == "fcfs"


@pytest.mark.parametrize(
    ("window", "given", "piece"),
    [(32_768, {}, 1024), (512, {}, 512), (32_768, {"long_prefill_token_threshold": 64}, 64)],
)
def test_a_long_prompt_is_read_in_pieces(window: int, given: dict[str, int], piece: int) -> None:
    args = engine_args("folder", ModelSettings(context_window=window), given, {})
    assert args.long_prefill_token_threshold == piece


def test_unknown_and_owned_options_are_refused_by_name() -> None:
    with pytest.raises(SettingsError) as raised:
        check_engine_options({"max_num_seq": 1, "max_model_len": 5})
    assert "`engine.max_num_seq`; did you mean `max_num_seqs`?" in str(raised.value)
    assert "`engine.max_model_len` is set by `model.context_window`" in str(raised.value)
