"""What is served."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from server.settings.base import Section, Strings

Names = Annotated[Strings, Field(min_length=1)]


class ModelSettings(Section):
    """Which model, and how it is addressed."""

    path: str | None = Field(None, description="Local folder or hub id; absent: the embedded model.")
    revision: str | None = Field(None, description="Hub revision.")
    served_names: Names = Field(("electron",), description="Names that clients may send; answers carry the first.")
    context_window: int = Field(32_768, ge=2, description="Tokens of prompt and output together.")
    overflow: Literal["refuse", "clamp"] = Field("refuse", description="When prompt + max_tokens exceed the window.")
    chat_template: Path | None = Field(None, description="A Jinja file in place of the model's own template.")
    template_kwargs: dict[str, Any] = Field(default_factory=dict, description="Passed to the chat template.")
    remember: float = Field(
        64.0,
        ge=0,
        description="MiB for the token ids of earlier messages, so that one more turn costs its own tokens alone; "
        "grammars may take half as much again.",
    )
    tool_format: str = Field("auto", description="How the model writes tool calls; auto: told by its chat template.")
