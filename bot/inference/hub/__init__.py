"""Models from the Hugging Face hub: found in its cache, or downloaded into it.

All use of ``huggingface_hub`` is here. The library reports the machine's other software to the
hub unless it is told not to before it is imported.
"""

import os

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
