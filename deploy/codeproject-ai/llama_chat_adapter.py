"""The module LlamaChat of CodeProject.AI Server, with Parley as its model: passes commands on."""

from __future__ import annotations

import os
import sys
import time

import requests
from codeproject_ai_sdk import JSON, ModuleRunner, RequestData

URL = os.environ.get("CPAI_MODULE_LLAMA_PARLEY_URL", "").strip().rstrip("/")
KEY = os.environ.get("CPAI_MODULE_LLAMA_PARLEY_KEY", "").strip()
FIELDS = ("prompt", "system_prompt", "max_tokens", "temperature")
RESULT = ("success", "error", "reply", "stop_reason", "processMs", "inferenceMs")
POLL_SECONDS = 0.25
TIMEOUT_SECONDS = 60


class LlamaChatAdapter(ModuleRunner):
    """One command at a time, which is what the server's queue allows a module."""

    def initialise(self) -> None:
        self.force_shutdown = False  # a cancelled command ends by itself, with its text so far
        self._begin_anew()

    def process(self, data: RequestData) -> JSON:
        self._begin_anew()
        return self.chat

    def chat(self, data: RequestData) -> JSON:
        """Runs in a thread until Parley has completed the command."""
        asked = {name: data.get_value(name) for name in FIELDS}
        self._status = self._post("text/chat", asked)
        self._parley_id = self._status.get("commandId")
        self.inference_device = self._status.get("inferenceDevice", self.inference_device)
        if self._is_stopped:  # before there was an id to cancel
            self.cancel_command_task()
        while self._status.get("commandStatus") == "running":
            time.sleep(POLL_SECONDS)
            path = "LlamaChat/get_command_status"
            self._status = self._post(path, {"commandId": self._parley_id})
        return {name: self._status.get(name) for name in RESULT}

    def command_status(self) -> JSON:
        return {"reply": self._status.get("reply", "")}

    def cancel_command_task(self) -> None:
        self._is_stopped = True
        if self._parley_id:
            self._post("LlamaChat/cancel_command", {"commandId": self._parley_id})

    def selftest(self, data: RequestData | None = None) -> JSON:
        question = RequestData()
        question.add_value("prompt", "Hi")
        question.add_value("max_tokens", "1")
        self._begin_anew()
        result = self.chat(question)
        sys.stderr.write("" if result["success"] else f"{result['error']}\n")
        return result

    def _begin_anew(self) -> None:
        self._status, self._parley_id, self._is_stopped = {}, None, False

    def _post(self, path: str, fields: JSON) -> JSON:
        """A failure, too, is an answer, in which ``error`` is a sentence."""
        headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
        url = f"{URL or 'http://127.0.0.1:3978'}/v1/{path}"
        try:
            answer = requests.post(url, data=fields, headers=headers, timeout=TIMEOUT_SECONDS)
            said = answer.json()
        except requests.RequestException:
            return {"success": False, "error": "Parley cannot be reached.", "reply": ""}
        if "success" not in said:
            return {"success": False, "error": said["error"]["message"], "reply": ""}
        return said


if __name__ == "__main__":
    LlamaChatAdapter().start_loop()
