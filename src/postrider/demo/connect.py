"""How to go on after the demo: the exact configuration of the usual agents, on this machine."""

import json
import shlex
import sys
from pathlib import Path
from typing import Final

from postrider.settings import PREFIX, Settings

_NAME: Final = "postrider"


def stdio_command() -> list[str]:
    """The command that serves MCP on this machine: the installed script beside this Python, else the module."""
    script = Path(sys.executable).with_name(_NAME)
    return [str(script), "stdio"] if script.is_file() else [sys.executable, "-m", _NAME, "stdio"]


def claude_desktop_config(settings: Settings) -> str:
    """The JSON for claude_desktop_config.json."""
    command, *arguments = stdio_command()
    server = {
        "command": command,
        "args": arguments,
        "env": {f"{PREFIX}DATA_DIR": str(settings.data_dir.resolve())},
    }
    return json.dumps({"mcpServers": {_NAME: server}}, indent=2)


def claude_code_command(settings: Settings) -> str:
    """The shell command that adds the server to Claude Code."""
    variable = f"{PREFIX}DATA_DIR={settings.data_dir.resolve()}"
    # --env takes any number of values, so that another option has to stand between it and the name.
    return shlex.join(
        ["claude", "mcp", "add", "--env", variable, "--transport", "stdio", _NAME, "--", *stdio_command()]
    )
