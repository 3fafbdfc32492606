"""All sections."""

from typing import Any

from pydantic import Field

from server.settings.admission import AdmissionSettings
from server.settings.base import Section
from server.settings.http import HttpSettings
from server.settings.kernels import KernelSettings
from server.settings.lifecycle import LifecycleSettings
from server.settings.model import ModelSettings
from server.settings.speech import FillerSettings, SpeechSettings
from server.settings.telemetry import TelemetrySettings


class Settings(Section):
    model: ModelSettings = ModelSettings()
    engine: dict[str, Any] = Field(default_factory=dict, description="vLLM's engine arguments, passed on untouched.")
    kernels: KernelSettings = KernelSettings()
    speech: SpeechSettings = SpeechSettings()
    filler: FillerSettings = FillerSettings()
    http: HttpSettings = HttpSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    admission: AdmissionSettings = AdmissionSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
