from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate


@pytest.fixture(scope="session")
def smollm2() -> Iterator[LlamaModel]:
    """The real embedded model with a small pool; release what you open.

    On one thread, as wherever tests compute: two that wait for each other crawl on a busy machine.
    """
    model = LlamaModel(
        locate.locate("smollm2"), LlamaOptions(num_cells=512, max_running=4, num_threads=1)
    )
    yield model
    model.close()
