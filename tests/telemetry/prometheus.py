"""A real Prometheus that scrapes one address."""

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import yaml

from tests.telemetry.expressions import ALERTS

PATIENCE = 60.0  # seconds


class Prometheus:
    """`target`: host and port with a `/metrics`."""

    def __init__(self, folder: Path, port: int, target: str) -> None:
        self._url = f"http://127.0.0.1:{port}"
        config = folder / "prometheus.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(ALERTS)],
                    "scrape_configs": [{"job_name": "electron", "static_configs": [{"targets": [target]}]}],
                }
            )
        )
        arguments = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
        with (folder / "prometheus.log").open("w") as log:
            self._process = subprocess.Popen(
                ["prometheus", *arguments, f"--web.listen-address=127.0.0.1:{port}"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def query(self, expression: str) -> list[Any]:
        """The samples that it has by now."""
        try:
            response = httpx.get(f"{self._url}/api/v1/query", params={"query": expression})
        except httpx.TransportError:
            return []
        if response.status_code == 503:  # it listens before it can answer
            return []
        answer = response.json()
        assert answer["status"] == "success", answer
        result: list[Any] = answer["data"]["result"]
        return result

    def wait_for(self, expressions: dict[str, str]) -> dict[str, str]:
        """Those that still have no data when patience is at its end."""
        deadline = time.monotonic() + PATIENCE
        while expressions and time.monotonic() < deadline:
            expressions = {name: text for name, text in expressions.items() if not self.query(text)}
            time.sleep(0.5)
        return expressions

    def metadata(self) -> dict[str, Any]:
        """Types and help texts of all families, as scraped."""
        metadata: dict[str, Any] = httpx.get(f"{self._url}/api/v1/metadata").json()["data"]
        return metadata
