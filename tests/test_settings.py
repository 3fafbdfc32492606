"""Three sources, one precedence; whatever is not known is refused by name."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings, SettingsError, load_settings

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.yaml"
    path.write_text("http: {port: 1000, host: 127.0.0.2}\nmodel: {served_names: [a, b]}\n")
    return path


def test_later_sources_win(file: Path) -> None:
    environment = {"ELECTRON__HTTP__PORT": "2000", "ELECTRON__HTTP__KEEP_ALIVE": "7", "OTHER": "x"}
    settings = load_settings(file, environment, ["http.port=3000"])
    assert (settings.http.port, settings.http.keep_alive, settings.http.host) == (3000, 7, "127.0.0.2")


def test_values_are_yaml(file: Path) -> None:
    settings = load_settings(file, {"ELECTRON__MODEL__SERVED_NAMES": "[x, y]"}, ["engine.enforce_eager=true"])
    assert settings.model.served_names == ("x", "y")
    assert settings.engine == {"enforce_eager": True}


def test_one_served_name_needs_no_list() -> None:
    assert load_settings(environment={}, assignments=["model.served_names=m"]).model.served_names == ("m",)


def test_off_is_off_though_yaml_reads_it_as_false() -> None:
    settings = load_settings(environment={}, assignments=["filler.mode=off", "speech.guard=off"])
    assert (settings.filler.mode, settings.speech.guard) == ("off", "off")


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("http.prot=1", "unknown setting `http.prot`; did you mean `http.port`?"),
        ("admission.redis.ulr=x", "unknown setting `admission.redis.ulr`; did you mean `admission.redis.url`?"),
        ("admission.plans.standard.concurency=1", "did you mean `admission.plans.standard.concurrency`?"),
        ("htpp.port=1", "unknown setting `htpp`; did you mean `http`?"),
        ("http.port=many", "`http.port`: Input should be a valid integer"),
        ("http.port.x=1", "`http.port` is a value, not a section"),
        ("http", "is not of the form name=value"),
        ("model.overflow=explode", "'refuse' or 'clamp'"),
    ],
)
def test_faults_are_named(file: Path, assignment: str, expected: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(file, {}, [assignment])
    assert expected in str(raised.value)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(environment={}, assignments=["admission.redis=redis://:hunter2@redis:6379/0"])
    assert "://…@redis:6379/0" in str(raised.value) and "hunter2" not in str(raised.value)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(environment={"ELECTRON__HTTP__PROT": "1"}, assignments=["model.context_window=1"])
    assert "http.prot" in str(raised.value) and "model.context_window" in str(raised.value)


def test_what_kubernetes_invents_for_a_service_of_our_name_is_not_ours() -> None:
    assert load_settings(environment={"ELECTRON_PORT": "tcp://10.0.0.1:8000"}) == Settings()


@pytest.mark.parametrize("content", ["- a\n", "a: [\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        load_settings(path, {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml", {})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().http.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "path", sorted(set(CONFIGS.glob("*.yaml")) - set(CONFIGS.glob("keys.*"))), ids=lambda path: path.name
)
def test_shipped_configurations_load(path: Path) -> None:
    assert load_settings(path, {}).model.context_window == 32_768
