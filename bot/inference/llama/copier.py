"""The process that writes a requantised copy of a model, and may crash.

Arguments: the model file, the file to write, the quantisation and the number of threads. Its
output and its exit code are those of ``child``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bot.errors import ModelError
from bot.inference.gguf.parts import num_bytes_of
from bot.inference.llama.child import FACTOR, REFUSED, SLOWEST_DISK, behave, say
from bot.inference.llama.files import quantize


def main(source: str, target: str, quantisation: str, num_threads: str) -> int:
    behave()
    say(FACTOR * num_bytes_of(Path(source)) / SLOWEST_DISK, f"wrote a {quantisation} copy")
    try:
        quantize(Path(source), Path(target), quantisation, int(num_threads))
    except ModelError as error:
        sys.stdout.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
