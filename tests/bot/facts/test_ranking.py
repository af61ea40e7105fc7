"""What a question finds: other forms of its words, other scripts, and nothing by chance."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bot.facts.folders import Facts, facts_in

DOCUMENTS = {
    "bus.md": "# Schulbusse\n\nDer gelbe Omnibus hält am Hafen und fährt um sieben Uhr ab.\n",
    "fees.md": "Registration costs forty euros, which are refunded within a month.\n",
    "cafe.md": "Die Getränke im Café sind umsonst.\n",
    "school.txt": "学校的图书馆每天早上九点开门。学生可以借三本书。\n",
    "tokyo.txt": "東京タワーの高さは三百三十三メートルです。\n",
    "seoul.txt": "도서관은 아침 아홉 시에 문을 엽니다.\n",
    "thai.txt": "ห้องสมุดเปิดเวลาเก้าโมงเช้า\n",
    "greek.txt": "Η βιβλιοθήκη ανοίγει στις εννέα.\n",
}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    with facts_in(tmp_path_factory.mktemp("ranking")) as facts:
        for name, text in DOCUMENTS.items():
            facts.write(name, text)
        yield facts


@pytest.mark.parametrize(
    ("question", "name"),
    [
        *(("Wann fährt der Schulbus?", "bus.md"), ("Busse am Hafen", "bus.md")),
        ("Fahrplan des Schulbusses", "bus.md"),
        *(("How do I register?", "fees.md"), ("registartion", "fees.md")),
        *(("GETRANKE IM CAFE", "cafe.md"), ("Was kostet das Getraenk?", "cafe.md")),
        *(("图书馆几点开门？", "school.txt"), ("東京タワーは何メートル？", "tokyo.txt")),
        *(("도서관 언제 열어요?", "seoul.txt"), ("ห้องสมุดเปิดกี่โมง", "thai.txt")),
        ("πότε ανοιγει η βιβλιοθηκη", "greek.txt"),
    ],
)
async def test_words_are_found_in_other_forms_and_scripts(
    facts: Facts, question: str, name: str
) -> None:
    await facts.refresh()
    assert (await facts.names(question))[:1] == [name]


async def test_one_word_of_many_is_too_little(facts: Facts) -> None:
    await facts.refresh()
    assert await facts.names("Refunded within which month?") == ["fees.md"]
    question = (
        "In which month did the quarrelsome admiral, tired of sieges and sailors, sign the "
        "forgotten treaty of Ghent beside the emperor?"
    )
    assert await facts.names(question) == []
