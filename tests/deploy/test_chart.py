"""The Helm chart: rendered by both majors, held against the schemas of Kubernetes, the server and itself."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from server.app import create_app
from server.cli import main
from server.lifecycle import Lifecycle
from server.settings import LifecycleSettings, load_settings
from tests.conftest import ROOT, Server
from tests.deploy.chart import (
    CASES,
    CHART,
    KEYS,
    configuration,
    one,
    rendered,
    server_container,
    server_pod,
    template,
)
from tests.deploy.tools import checkov, helm, node_modules

FOLDER = Path(__file__).parent
BUILT_IN = ("apps/v1", "v1", "policy/v1", "networking.k8s.io/v1", "autoscaling/v2")
VERSIONS = ("1.29.0", "1.33.0", "1.37.0")
# Reviewed: a check of checkov's, and why the chart goes its own way.
SKIPPED = {
    "CKV_K8S_8": "the pod of `helm test` is a job",
    "CKV_K8S_9": "likewise",
    "CKV2_K8S_6": "the pod of `helm test` only calls, and lives for seconds",
    "CKV_K8S_11": "a limit on the CPU of a pod that holds a GPU throttles it while cores are idle",
    "CKV_K8S_15": "a tag is never moved; images of 10 GB are not fetched at every start",
    "CKV_K8S_43": "image.digest is there for it, and is the operator's to give",
    "CKV_K8S_35": "the key file is a file; addresses with a password are settings, and settings come by environment",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_both_majors_render_the_same_and_kubernetes_knows_it(case: Path) -> None:
    outputs = {major: template(major, file=case) for major in (3, 4)}
    assert all(done.returncode == 0 for done in outputs.values()), [done.stderr for done in outputs.values()]
    assert outputs[3].stdout == outputs[4].stdout
    for each in filter(None, yaml.safe_load_all(outputs[3].stdout)):
        if each["apiVersion"] in BUILT_IN:
            for version in VERSIONS:
                kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("major", [3, 4])
def test_lint_is_content(major: int) -> None:
    command = [str(helm(major)), "lint", "--strict", str(CHART), "--set", *KEYS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_custom_resources_keep_their_own_schemas() -> None:
    custom = [each for case in CASES for each in rendered(file=case) if each["apiVersion"] not in BUILT_IN]
    kinds = {each["kind"] for each in custom}
    pools = [each for each in custom if each["kind"] == "InferencePool"]
    schema = json.loads((FOLDER / "inferencepool.json").read_text())
    for pool in pools:
        jsonschema.validate(pool, schema)
    others = [each for each in custom if each["kind"] != "InferencePool"]
    assert kinds == {"InferencePool", "HTTPRoute", "ScaledObject", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
    folder = node_modules(FOLDER / "javascript", "@kubernetes-models/keda")
    command = ["node", "validate.mjs"]
    done = subprocess.run(command, cwd=folder, input=json.dumps(others), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_checkov_finds_nothing_but_what_was_reviewed(tmp_path: Path) -> None:
    for case in CASES:
        (tmp_path / case.name).write_text(template(3, file=case).stdout)
    command = [str(checkov()), "-d", str(tmp_path), "--framework", "kubernetes", "--compact", "--quiet"]
    command += ["--skip-download", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    failed = json.loads(done.stdout)["results"]["failed_checks"]
    assert {check["check_id"] for check in failed} == SKIPPED.keys()


@pytest.mark.parametrize(
    ("assignments", "reason"),
    [
        ((), "no keys"),
        (("config.admission.auth=none", "networkPolicy.enabled=false"), "serves the whole cluster"),
        ((*KEYS, "config.admission.auth=none"), "contradicts"),
        ((*KEYS, "replicaCount=2"), "needs redis.existingSecret"),
        ((*KEYS, "autoscaling.kind=hpa"), "needs redis.existingSecret"),
        ((*KEYS, "config.http.processes=2"), "config.http.processes > 1 needs redis.existingSecret"),
        ((*KEYS, "gpu.count=2"), "config.engine uses 1"),
        ((*KEYS, "config.engine.tensor_parallel_size=4", "gpu.count=1"), "config.engine uses 4"),
        ((*KEYS, "lifecycle.gracePeriodSeconds=60"), "preStop 10 + drain 47 + teardown 15 = 72"),
        ((*KEYS, "progressDeadlineSeconds=600"), "may take 1800 seconds"),
        ((*KEYS, "redis.existingSecret=r", "replicaCount=2", "modelCache.create=true"), "ReadWriteOnce"),
        ((*KEYS, "modelCache.create=true", "modelCache.existingClaim=c"), "give one of them"),
        ((*KEYS, "modelCache.readOnly=true"), "cannot be downloaded into"),
        ((*KEYS, "config.http.port=9000"), "config.http.port is set by the chart"),
        ((*KEYS, "config.telemetry.ledger.directory=/data"), "set by the chart"),
        ((*KEYS, "config.admission.redis.url=redis://x"), "redis.existingSecret"),
        ((*KEYS, "config.admission.salt_secret=s"), "salt.existingSecret"),
        ((*KEYS, "redis.existingSecret=r", "autoscaling.kind=keda"), "prometheusAddress"),
        ((*KEYS, "gateway.inferencePool.enabled=true"), "endpointPicker"),
        ((*KEYS, "gateway.httpRoute.enabled=true"), "parentRefs"),
        ((*KEYS, "kvEvents.enabled=true", "json:config.engine.kv_events_config={\"topic\": \"x\"}"), "set by kvEvents"),
        ((*KEYS, "kvEvents.enabled=true", "networkPolicy.enabled=false"), "reads every prompt"),
        ((*KEYS, "image.tga=1"), "tga"),
        ((*KEYS, "replicaCount=none"), "replicaCount"),
        ((*KEYS, "autoscaling.kind=both"), "autoscaling"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_not_rendered(assignments: tuple[str, ...], reason: str) -> None:
    for major in (3, 4):
        done = template(major, *assignments)
        assert done.returncode != 0
        assert reason in done.stderr


def test_as_a_subchart_it_takes_global_values() -> None:
    image = server_container(rendered(*KEYS, "global.imageRegistry=mirror.example.com"))["image"]
    assert image.startswith("mirror.example.com/electron-server:")


def test_every_probe_path_is_a_route_of_the_app(tmp_path: Path) -> None:
    settings = load_settings(environment={}, assignments=[f"telemetry.ledger.directory={tmp_path}"])
    with ThreadPoolExecutor(1) as workers:
        app = create_app(settings, Lifecycle(settings, workers))
    paths = set(app.openapi()["paths"]) | {getattr(route, "path", "") for route in app.routes}
    container = server_container(rendered(*KEYS))
    probed = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert probed == {"/readyz", "/livez"}
    assert probed | {"/metrics"} <= paths


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_names_are_unique_and_refer_to_what_is_there(case: Path) -> None:
    objects = rendered(file=case)
    pod, container = server_pod(objects), server_container(objects)
    named = [(container["env"], "name"), (container["ports"], "name"), (pod["volumes"], "name")]
    for things, key in (*named, (container["volumeMounts"], "mountPath")):
        names = [thing[key] for thing in things]
        assert len(names) == len(set(names))
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        one(objects, "Service")["spec"]["selector"],
    ]
    selectors += [each["spec"]["selector"]["matchLabels"] for each in objects
                  if each["kind"] in ("PodMonitor", "PodDisruptionBudget", "InferencePool")]  # fmt: skip
    assert all(selector.items() <= labels.items() for selector in selectors)
    hook = next(each for each in objects if each["kind"] == "Pod")
    assert not all(hook["metadata"]["labels"].get(key) == value for key, value in selectors[0].items())
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in one(objects, "Service")["spec"]["ports"]} <= ports
    for kind in ("PodMonitor", "ServiceMonitor"):
        for each in (each for each in objects if each["kind"] == kind):
            endpoints = each["spec"].get("podMetricsEndpoints") or each["spec"]["endpoints"]
            assert {endpoint["port"] for endpoint in endpoints} <= {"http"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_grace_period_holds_the_drain(case: Path) -> None:
    objects = rendered(file=case)
    pod = server_pod(objects)
    before = int(server_container(objects)["lifecycle"]["preStop"]["exec"]["command"][1])
    lifecycle = load_settings(_file(objects, case), environment={}).lifecycle
    needed = before + lifecycle.drain_pause + lifecycle.drain_timeout
    assert int(pod["terminationGracePeriodSeconds"]) >= needed + 15


def test_the_chart_knows_the_servers_own_drain() -> None:
    objects = rendered(*KEYS, "config.lifecycle=null")
    defaults = LifecycleSettings()
    assert server_pod(objects)["terminationGracePeriodSeconds"] == 25 + defaults.drain_pause + defaults.drain_timeout


def _file(objects: list[dict], case: Path) -> Path:
    file = ROOT / "build" / f"{case.stem}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(configuration(objects))
    return file


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_server_takes_the_configuration_and_the_environment(
    case: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = rendered(file=case)
    secrets = {
        "ELECTRON__ADMISSION__REDIS__URL": "redis://redis:6379",
        "ELECTRON__TELEMETRY__LEDGER__URL": "postgresql://db/usage",
        "ELECTRON__ADMISSION__SALT_SECRET": "sixteen characters and more",
    }
    for each in server_container(objects)["env"]:
        if each["name"].startswith("ELECTRON__"):
            monkeypatch.setenv(each["name"], each.get("value") or secrets[each["name"]])
    with pytest.raises(SystemExit) as ended:
        main(["check", "--config", str(_file(objects, case))])
    assert ended.value.code == 0
    assert '"host":"0.0.0.0"' in capsys.readouterr().out.replace(" ", "")


def test_a_change_of_the_configuration_changes_the_pod() -> None:
    sums = {
        one(rendered(*KEYS, f"config.engine.max_num_seqs={count}"), "Deployment")["spec"]["template"]["metadata"][
            "annotations"
        ]["checksum/config"]
        for count in (64, 128, 128)
    }
    assert len(sums) == 2


def test_no_secret_is_written_out() -> None:
    for case in CASES:
        for each in rendered(file=case):
            assert each["kind"] != "Secret"
        container = server_container(rendered(file=case))
        secret = {"ELECTRON__ADMISSION__REDIS__URL", "ELECTRON__TELEMETRY__LEDGER__URL", "HF_TOKEN"}
        assert all("value" not in each for each in container["env"] if each["name"] in secret)


def test_a_rollout_needs_no_spare_gpu() -> None:
    assert one(rendered(*KEYS), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    several = one(rendered(*KEYS, "replicaCount=3", "redis.existingSecret=r"), "Deployment")["spec"]
    assert several["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert several["replicas"] == 3


def test_the_autoscaler_alone_says_how_many() -> None:
    for case in ("hpa", "keda"):
        assert "replicas" not in one(rendered(file=CHART / f"ci/{case}.yaml"), "Deployment")["spec"]


def test_gpus_follow_from_the_engine() -> None:
    objects = rendered(*KEYS, "config.engine.tensor_parallel_size=4", "config.engine.pipeline_parallel_size=2")
    resources = server_container(objects)["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "8"
    assert not {"nvidia.com/gpu"} & set(server_container(rendered(file=CHART / "ci/cpu.yaml"))["resources"]["limits"])


def test_the_rules_and_dashboards_are_those_of_configs() -> None:
    objects = rendered(file=CHART / "ci/production.yaml")
    assert one(objects, "PrometheusRule")["spec"] == yaml.safe_load(
        (ROOT / "configs/prometheus/alerts.yaml").read_text()
    )
    (dashboard,) = (each for each in objects if "electron-server.json" in each.get("data", {}))
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    content = (ROOT / "configs/grafana/electron-server.json").read_text()
    assert json.loads(dashboard["data"]["electron-server.json"]) == json.loads(content)


def test_what_is_served_unless_told_otherwise_is_a_preset() -> None:
    served = yaml.safe_load((CHART / "values.yaml").read_text())["config"]
    preset = yaml.safe_load((ROOT / "configs/80gb-8b.yaml").read_text())
    assert {name: served[name] for name in ("model", "engine")} == {name: preset[name] for name in ("model", "engine")}


def test_a_packed_chart_renders_the_same(tmp_path: Path) -> None:
    subprocess.run([str(helm(3)), "package", str(CHART), "--destination", str(tmp_path)], check=True, timeout=60)
    (packed,) = tmp_path.glob("*.tgz")
    command = [str(helm(4)), "template", "voice", str(packed), "--namespace", "phones", "--values"]
    done = subprocess.run([*command, str(CHART / "ci/production.yaml")], capture_output=True, text=True, timeout=60)
    assert done.stdout == template(3, file=CHART / "ci/production.yaml").stdout


def test_every_value_is_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    assert set(yaml.safe_load((CHART / "values.yaml").read_text())) | {"global"} == set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_the_pod_of_helm_test_is_content_with_a_server(server: Server) -> None:
    pod = next(each for each in rendered(file=CHART / "ci/cpu.yaml") if each["kind"] == "Pod")
    (container,) = pod["spec"]["containers"]
    command = [shutil.which("python3") or sys.executable, *container["command"][1:], *container["args"]]
    environment = {each["name"]: each["value"] for each in container["env"]} | {"URL": server.root}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "'completion_tokens': 1" in done.stdout
