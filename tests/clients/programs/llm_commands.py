"""The command line ``llm``: commands as people type them, in one process to save its start."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from llm.cli import cli

TOOL = 'def get_weather(city: str) -> str:\n    "The weather in a city."\n    return "Sun, " + city'
COMMANDS = {
    "streamed": ("prompt", "-m", "parley", "Hi"),
    "whole": ("prompt", "-m", "parley", "--no-stream", "Hi"),
    "system": ("prompt", "-m", "parley", "-s", "Be short.", "-o", "temperature", "0", "Hi"),
    "further": ("prompt", "-m", "parley", "-c", "And you?"),
    "tools": ("prompt", "-m", "parley", "--functions", TOOL, "How is the weather?"),
    "responses": ("prompt", "-m", "parley-responses", "Hi"),
    "schema": ("prompt", "-m", "parley", "--schema", "name, age int", "Who was Ada?"),
}
MODEL = f"""
- model_id: {{name}}
  model_name: gpt-3.5-turbo
  api_base: {os.environ["OPENAI_BASE_URL"]}
  api_key_name: parley
"""


def run(*words: str) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        cli(list(words), standalone_mode=False)
    return said.getvalue().strip()


def main() -> None:
    folder = Path("llm")
    folder.mkdir()
    os.environ["LLM_USER_PATH"] = str(folder)
    (folder / "extra-openai-models.yaml").write_text(
        f"{MODEL.format(name='parley')}  supports_schema: true\n  supports_tools: true\n"
        f"{MODEL.format(name='parley-responses')}  responses: true\n"
    )
    run("keys", "set", "parley", "--value", os.environ["OPENAI_API_KEY"])
    json.dump({name: run(*words) for name, words in COMMANDS.items()}, sys.stdout)


if __name__ == "__main__":
    main()
