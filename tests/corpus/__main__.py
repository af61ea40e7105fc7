"""``python -m tests.corpus`` writes the messages of every answer anew: look at the difference."""

from __future__ import annotations

from tests.corpus.rendered import FOLDER, PAGE, PLATFORMS, languages, messages_of


def main() -> None:
    for platform in (*PLATFORMS, PAGE):
        for language in languages():
            file = FOLDER / platform / f"{language}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(messages_of(platform, language), "utf-8", newline="\n")


main()
