"""The process that writes a copy of a model with other weights, where dying hurts nobody.

Arguments: the model file, the file to write, the kind of weights, and how many threads compute.
Otherwise as ``child``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bot.errors import ModelError
from bot.inference.llama.child import FACTOR, REFUSED, SLOWEST_DISK, behave, say
from bot.inference.llama.files import quantize


def main(source: str, target: str, quantisation: str, num_threads: str) -> int:
    behave()
    say(FACTOR * Path(source).stat().st_size / SLOWEST_DISK, f"wrote a {quantisation} copy")
    try:
        quantize(Path(source), Path(target), quantisation, int(num_threads))
    except ModelError as error:
        sys.stdout.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
