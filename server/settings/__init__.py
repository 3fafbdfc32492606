"""The configuration: frozen sections; file < environment < flag; unknown names refused.

    file          configs/nano.yaml            http: {port: 9000}
    environment   ELECTRON__HTTP__PORT=9000    values are read as YAML
    flag          --set http.port=9000         likewise

Two underscores keep the names apart from the `ELECTRON_PORT=tcp://…` that Kubernetes invents for a service called so.
"""

from server.settings.admission import AdmissionSettings, RedisSettings
from server.settings.base import SettingsError, nearest
from server.settings.environment import prepare_engine_environment
from server.settings.http import HttpSettings
from server.settings.kernels import KernelSettings
from server.settings.lifecycle import LifecycleSettings
from server.settings.model import ModelSettings
from server.settings.plans import PlanSettings, PriceSettings, ServiceClass
from server.settings.root import Settings
from server.settings.sources import load_settings
from server.settings.speech import FillerSettings, SpeechSettings
from server.settings.telemetry import LedgerSettings, MetricsSettings, TelemetrySettings

__all__ = [
    "AdmissionSettings",
    "FillerSettings",
    "HttpSettings",
    "KernelSettings",
    "LedgerSettings",
    "LifecycleSettings",
    "MetricsSettings",
    "ModelSettings",
    "PlanSettings",
    "PriceSettings",
    "RedisSettings",
    "ServiceClass",
    "Settings",
    "SettingsError",
    "SpeechSettings",
    "TelemetrySettings",
    "load_settings",
    "nearest",
    "prepare_engine_environment",
]
