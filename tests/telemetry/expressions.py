"""Every PromQL expression of dashboard and rules, and the series that there are."""

import ast
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from server.settings import MetricsSettings
from server.telemetry.ledger import LedgerState
from server.telemetry.ledger_metrics import LedgerCollector
from server.telemetry.metrics import Metrics
from server.telemetry.requests import Caller

CONFIGS = Path(__file__).parent.parent.parent / "configs"
DASHBOARD = CONFIGS / "grafana" / "electron-server.json"
ALERTS = CONFIGS / "prometheus" / "alerts.yaml"

# What Grafana puts in place of its variables when everything is chosen.
VARIABLES = {"$__rate_interval": "1m", "$model": ".*", "$plan": ".*", "$instance": ".*"}
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def panel_expressions() -> dict[str, str]:
    """By panel and series, variables filled in."""
    return {
        f"{panel['title']}: {target['legendFormat']}": filled(target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    }


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def rule_expressions() -> dict[str, str]:
    return {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}


def visited(expression: str) -> list[promql_parser.Expr]:
    """All nodes of an expression."""
    nodes: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(expression), pre_visit=nodes.append)
    return nodes


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each series that an expression reads, and the labels by which it is chosen."""
    for node in visited(expression):
        if isinstance(node, promql_parser.VectorSelector):
            yield node.name, {matcher.name for matcher in node.matchers.matchers}


def groupings(expression: str) -> set[str]:
    """The labels that are kept."""
    sums = (node for node in visited(expression) if isinstance(node, promql_parser.AggregateExpr) and node.modifier)
    return {label for node in sums for label in node.modifier.labels}


def without_threshold(expression: str) -> list[str]:
    """What an alert compares, without what it compares it to: so it has a value in good times, too."""
    node = promql_parser.parse(expression)
    if not isinstance(node, promql_parser.BinaryExpr):
        return [node.prettify()]
    if str(node.op) == "and":
        return without_threshold(node.lhs.prettify()) + without_threshold(node.rhs.prettify())
    compares = str(node.op) in {"<", ">", "==", "!=", "<=", ">="}
    return without_threshold(node.lhs.prettify()) if compares else [node.prettify()]


def our_series() -> dict[str, set[str]]:
    """Names with their labels, and with those that Prometheus adds."""
    metrics = Metrics(MetricsSettings(), ["electron"])
    metrics.begin("electron", Caller("a", "k", "standard"))
    LedgerCollector(lambda: LedgerState(True, 0, 0, 0, 0, 0), metrics.registry)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        names = [f"{family.name}{suffix}" for suffix in SUFFIXES[family.type.capitalize()]]
        labels = {"instance", "le", *(label for sample in family.samples for label in sample.labels)}
        found |= dict.fromkeys(names, labels)
    found["electron_refusals_total"] |= {"status", "type"}
    found["electron_limit_decisions_total"] |= {"plan", "decision"}
    return found


def vllm_series() -> dict[str, set[str]]:
    """Read from the source of the vLLM that is installed; importing it would take seconds."""
    package = importlib.util.find_spec("vllm")
    assert package is not None and package.origin is not None
    source = (Path(package.origin).parent / "v1" / "metrics" / "loggers.py").read_text()
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (name := _metric_name(node)):
            kind = ast.unparse(node.func).rsplit("._", 1)[-1].removesuffix("_cls").capitalize()
            found |= {f"{name}{suffix}": {"model_name", "engine", "instance", "le"} for suffix in SUFFIXES[kind]}
    return found


def _metric_name(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value) if str(keyword.value.value).startswith("vllm:") else None
    return None


def recorded_series() -> dict[str, set[str]]:
    return {rule["record"]: groupings(rule["expr"]) - {"le"} for rule in rules() if "record" in rule}
