"""``python -m bot`` whose engine ends no reply for repeating itself, as its peers end none."""

from __future__ import annotations

from bot.__main__ import main
from bot.inference.engine.service import InferenceService

if __name__ == "__main__":
    defaults = InferenceService.__init__.__kwdefaults__ or {}
    defaults["loop_guard"] = False
    main()
