"""The pages of this folder, and of each the sentences that its main text has and has not.

What finds the main text of pages was chosen by them, on 28 November 2026; of the 148 pieces that
are wanted and the 102 that are not, in words and as the Markdown that is written here:

==========================  ==========  ================  ===========  ==========  =============
reads a page                wanted      unwanted          as Markdown  import CPU  address space
==========================  ==========  ================  ===========  ==========  =============
trafilatura 2.3.1           134 (91 %)  10 (10 %)         131          0.2 s       46 MB
readability-lxml 0.9        115 (78 %)  10 (10 %)         none         0.07 s      34 MB
``bot.documents.page``      147 (99 %)  2 (2 %)           147          0.2 s       46 MB
==========================  ==========  ================  ===========  ==========  =============

The last row is trafilatura with what is mended before and after it; the pages have taught that,
so it says less than the others of pages that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Page:
    """``wanted``: pieces of the Markdown that a person would write of it; lines of tables too.

    ``unwanted``: what stands around the main text. ``encoding``: as it is sent. ``known_misses``
    and ``known_noise``: where the reading of pages still falls short.
    """

    name: str
    title: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]
    encoding: str = "utf-8"
    known_misses: tuple[str, ...] = ()
    known_noise: tuple[str, ...] = ()

    @property
    def data(self) -> bytes:
        if self.name == "long":
            return _long().encode()
        text = (_FOLDER / f"{self.name}.html").read_text(encoding="utf-8")
        return text.encode(self.encoding)


def _long() -> str:
    """A specification of 400 sections, each with a paragraph, a list and a line of code."""
    sections = (
        f'<section id="s{n}"><h2>Section {n}</h2><p>The valve with the number {n} closes within '
        f"{n + 3} seconds when the pressure falls.</p><ul><li>Its colour is code {n * 7}.</li>"
        f"<li>It is checked every {n % 11 + 2} weeks.</li></ul><pre><code>valve({n}).close()"
        "</code></pre></section>"
        for n in range(1, 401)
    )
    entries = (f'<li><a href="#s{n}">{n} Go to section {n}</a></li>' for n in range(1, 401))
    return (
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Valves, a specification"
        "</title></head><body><nav><ul>" + "".join(entries) + "</ul></nav><main><h1>Valves</h1>"
        "<p>This document says how valves behave.</p>" + "".join(sections) + "</main>"
        "<footer><p>Printed copies are not maintained.</p></footer></body></html>"
    )


PAGES = (
    Page(
        "news_en",
        "Council votes to reopen the old river bath | The Marbury Courier",
        (
            "thirty-one years after it was closed.",
            "The work will cost **2.4 million pounds**, of which the county pays half.",
            "“the cheapest happiness this town can buy”",
            "## Cleaner than it was",
            "In the [report of 2025](https://agency.example/reports/2025), ninety-four of",
            "We would not let our own children in",
            "A flag at the bridge will show whether swimming is allowed.",
            "Their amendment failed after an hour of debate.",
            "The first swimmers are expected on 1 June.",
        ),
        (
            "our 214 partners",
            "Weather forecast for Marbury",
            "a mattress for every back",
            "Ten lakes for a swim",
            "Get the best of the Courier",
            "I learned to swim there in 1978",
            "Another waste of our money",
            "Marbury Media Limited",
            "Contact the newsroom",
            "dataLayer",
        ),
    ),
    Page(
        "news_de",
        "Straßenbahn: Linie 7 fährt ab Herbst bis zum Klinikum – Neue Lindauer Zeitung",
        (
            "Die Fahrt vom Hauptbahnhof dauert künftig vierzehn Minuten.",
            "Tagsüber fährt die Linie 7 alle zehn Minuten, nach 20 Uhr alle zwanzig Minuten.",
            "sagte Klinikdirektorin Özlem Günther.",
            "### Kosten gestiegen",
            "Grund war eine Gasleitung, die in keinem Plan verzeichnet war.",
            "| Haltestelle | Ankunft |",
            "| Klinikum Süd | 14 Minuten |",
            "Am Eröffnungstag ist die Fahrt kostenlos.",
        ),
        (
            "unsere Dienstleister Ihre Daten",
            "Alle akzeptieren",
            "Anzeigen aufgeben",
            "Sie sind hier",
            "Auf Facebook teilen",
            "Bäckerei schließt nach 120 Jahren",
            "Hörgeräte ohne Zuzahlung",
            "Datenschutzerklärung",
            "Verlag Neue Lindauer Zeitung",
        ),
    ),
    Page(
        "news_fr",
        "La gare de Belle-Île rénovée après l’incendie - Le Courrier de l’Ouest maritime",
        (
            "La façade a été reconstruite à l’identique.",
            "« C’est le cœur du port qui recommence à battre »",
            "dont 4 millions pris en charge par l’assurance.",
            "## Des horaires élargis",
            "ouvert de 6 h 30 à 21 heures, sept jours sur sept.",
            "compte quatre-vingts places assises.",
        ),
        (
            "À la une",
            "Espace abonnés",
            "Connectez-vous pour laisser un commentaire",
            "Les prix de l’immobilier flambent",
            "Un phoque gris",
            "Gérer mes cookies",
        ),
        encoding="cp1252",
    ),
    Page(
        "docs_api",
        "Retrying requests — Ferry 3.2 documentation",
        (
            "A request that fails before its first byte has arrived can be sent again.",
            "from ferry import Client, Retry\n\nclient = Client(retry=Retry(attempts=5))\n"
            "for page in client.pages():\n    print(page.title)",
            "Only idempotent methods are retried. A POST is sent once",
            "## Parameters",
            "How often, and after which pauses, a request is sent again.",
            "attempts",
            "The number of all attempts, the first one included.",
            "each later pause is twice as long.",
            "| Code | Retried |",
            "| 429 | after the time in Retry-After |",
            "| 501 | never |",
        ),
        (
            "genindex",
            "Timeouts and how to choose them",
            "Show Source",
            "Quick search",
            "Created using Sphinx",
            "¶",
        ),
    ),
    Page(
        "docs_cli",
        "Back up a volume | Stow",
        (
            "A backup copies only the blocks that have changed since the last one.",
            "## Run a backup",
            "1. Stop whatever writes to the volume:",
            "stow pause /srv/data",
            "stow backup --to s3://bucket/stow /srv/data\n",
            "Resume the writers with `stow resume`.",
            "Run backups at night: a backup reads at full speed",
            "| Option | Default | Meaning |",
            "| `--keep` | 30 | how many snapshots are kept |",
            "Values with spaces must be quoted.",
            "[reference](https://site.example/docs/reference#backup)",
        ),
        (
            "Skip to main content",
            "Read the announcement on our blog",
            "Introduction to Stow",
            "Edit this page",
            "Next: Restore from a snapshot",
            "Built with Docusaurus",
            "Source code",
        ),
    ),
    Page(
        "forum",
        "[Solved] Sourdough collapses in the oven - The Baking Board",
        (
            "flattens as soon as it is in the oven.",
            "I use 500 g of wheat flour, 375 g of water and 100 g of starter.",
            "Has anybody an idea what I am doing wrong?",
            "Press the dough with a finger: if the dent stays, it has stood too long.",
            "Try two hours less at room temperature.",
            "Go down to 65 % until you know your flour.",
            "With 330 g of water and one hour less it stood up like a football.",
        ),
        (
            "Register a new account",
            "Ovens for sale",
            "No registered users and 3 guests",
            "Powered by phpBB",
        ),
    ),
    Page(
        "questions",
        "sqlite - How do I find rows whose text differs only in case? - Stacked Answers",
        (
            "I have a table `city(name TEXT)` and want all pairs of rows",
            "SELECT a.name, b.name\n  FROM city a JOIN city b",
            "This returns every row paired with itself, too.",
            "Compare the row ids as well, so that each pair is found once:",
            "... AND a.rowid < b.rowid",
            "An index with `COLLATE NOCASE` makes this fast",
            "Note that NOCASE folds only the 26 letters of ASCII.",
        ),
        (
            "Products for teams",
            "Unanswered questions of the week",
            "you agree to our terms of service",
            "How to delete duplicate rows in SQLite?",
            "Why do cats knead blankets",
            "Site design and logo",
        ),
    ),
    Page(
        "recipe",
        "Lemon Lentil Soup (30 minutes!) - Spoon & Saucer",
        (
            "This soup has saved more of our Mondays than I can count.",
            "cooked lemon turns bitter.",
            "### Ingredients",
            "- 2 tablespoons of olive oil",
            "- 1.2 litres of vegetable stock",
            "Prep Time: 5 minutes",
            "1. Heat the oil and fry the onion until it is golden",
            "3. Blend half of the soup",
            "It keeps for four days in the fridge",
            "| Calories | 290 kcal |",
        ),
        (
            "Download our free meal planner",
            "Our favourite kitchen tools",
            "Share on Facebook",
            "Roasted Carrot Hummus",
            "my toddler asked for seconds",
            "one star",
            "quick food for tired people",
            "As an Amazon Associate",
        ),
    ),
    Page(
        "ministry_de",
        "Ministerium für Wohnen - Presse - Wohngeld steigt zum 1. Januar",
        (
            "Rund 1,9 Millionen Haushalte erhalten dadurch im Schnitt 30 Euro mehr im Monat.",
            "„Wohnen darf nicht arm machen.",
            "## Wer hat Anspruch?",
            "| Personen | Mietenstufe I | Mietenstufe VII |",
            "| 4 | 3.092 € | 3.493 € |",
            "- Bestehende Bescheide werden ohne neuen Antrag angepasst.",
            "der am 16. Oktober berät.",
            "Nr. 48/2026",
        ),
        (
            "Direkt zum Inhalt",
            "Gebärdensprache",
            "Das Ministerium stellt sich vor",
            "Pressemitteilungen täglich per E-Mail",
            "Erklärung zur Barrierefreiheit",
            "verwendet Cookies zur anonymen Statistik",
        ),
        known_misses=("Nr. 48/2026",),
        known_noise=("Pressemitteilungen täglich per E-Mail",),
    ),
    Page(
        "ministry_fr",
        "Renouveler un passeport | Démarches publiques",
        (
            "Le délai d'obtention est actuellement de cinq semaines.",
            "Quels documents faut-il apporter ?",
            "- Une photo d'identité de moins de 6 mois.",
            "Combien cela coûte-t-il ?",
            "| Majeur | 86 € |",
            "Et si l'ancien passeport a été volé ?",
            "Il faut d'abord déclarer le vol au commissariat",
            "Le passeport est valable **10 ans** et doit être retiré",
        ),
        (
            "Aller au contenu",
            "Se connecter à son compte",
            "Cette page vous a-t-elle été utile",
            "totalement conforme",
            "sous licence ouverte",
        ),
    ),
    Page(
        "product",
        "Kestrel 40 hiking backpack, blue – Northpine Outdoor",
        (
            "€ 149.00",
            "In stock, delivered in two days.",
            "weighs no more than a litre of milk.",
            "The rain cover is sewn into the bottom pocket",
            "| Weight | 1,080 g |",
            "| Back length | 44 to 52 cm, adjustable |",
            "never tumble dry.",
        ),
        (
            "Free returns for 60 days",
            "Up to 40 % off in the summer sale",
            "Trekking poles, carbon",
            "Our outdoor experts answer",
            "shipping costs excluded",
        ),
    ),
    Page(
        "blog",
        "Why we moved our queue back to one process – Tiny Systems",
        (
            "Last month we put it back on one, and it is faster.",
            "It is a story about measuring the wrong thing.",
            "## What we measured",
            "| Machines | Jobs per second | Median latency |",
            "| needed | 900 | 20 ms |",
            "- One process owns the queue, and writes it to a log.\n  - The log is flushed",
            "- Workers ask for jobs; nothing is pushed.",
            "def take(queue):\n    with queue.lock:\n        return queue.jobs.popleft()",
            "and so it can be *understood*.",
        ),
        (
            "Skip to content",
            "Talks and slides",
            "Nobody reads dashboards",
            "Have you considered Kafka",
            "Your email address will not be published",
            "The year of boring databases",
            "Proudly powered by WordPress",
        ),
    ),
    Page(
        "wiki",
        "Halveston Lighthouse - Openpedia",
        (
            "| Height | 31 metres |",
            "It was lit from 1847 until 1988.",
            "## History",
            "in which forty-three people drowned",
            "The lamp burned colza oil at first, paraffin from 1872",
            "## Today",
            "The lens is shown in the town's museum.",
            "*Lights of the North Coast*",
        ),
        (
            "Random article",
            "Recent changes to this site",
            "[edit]",
            "Retrieved from",
            "Lighthouses completed in 1847",
            "This page was last edited",
        ),
    ),
    Page(
        "school_de",
        "Aktuelles - Gemeinschaftsschule am Weiher",
        (
            "## Sommerfest am 17. Juli",
            "Für das Kuchenbüfett suchen wir noch Spenden",
            "Bitte kontrollieren Sie täglich die Köpfe Ihrer Kinder.",
            "endet der Unterricht für alle Klassen nach der vierten Stunde",
            "- Busse fahren um 11.35 Uhr.",
            "Montag und Donnerstag von 12.30 bis 14 Uhr – geführt von Schülerinnen",
        ),
        ("Kontakt und Anfahrt", "Besucher seit 2003"),
        encoding="cp1252",
    ),
    Page(
        "nineties",
        "Rosenzüchter-Verein Altmühl e.V.",
        (
            "Wie man Rosen schneidet",
            "wenn die Forsythien blühen.",
            "einen halben Zentimeter über einem Auge, das nach außen zeigt.",
            "**Beetrosen** kürzt man auf zwei Handbreit.",
            "sonst blühen sie in diesem Jahr nicht.",
        ),
        ("Gästebuch", "Fotoalbum", "Netscape Navigator"),
        encoding="latin-1",
    ),
    Page(
        "hours",
        "Öffnungszeiten | Praxis Dr. Yıldız",
        (
            "| Montag | 8–12 und 15–18 Uhr |",
            "| Freitag | 8–13 Uhr |",
            "In Notfällen rufen Sie 116117 an.",
            "Hauptstraße 5, 73430 Aalen",
            "Telefon 07361 555 010",
        ),
        ("Leistungen im Überblick", "Hinweise zum Datenschutz"),
        encoding="utf-8-sig",
    ),
    Page(
        "portal",
        "County of Marbury - Home",
        (
            "Bins and recycling",
            "Find your collection day",
            "Pay, appeal or move house",
            "Apply by 31 October",
            "https://schools.marbury.example/apply",
            "Bridge Street is closed until Friday.",
        ),
        (),
    ),
    Page(
        "release_notes",
        "Release v4.1.0 · larkdb/larkdb · CodeHost",
        (
            "## Breaking changes",
            "- The default isolation level is now `snapshot`.",
            "- Python 3.9 is no longer supported.",
            "CREATE INDEX open_orders ON orders(day) WHERE state = 'open';",
            "`EXPLAIN ANALYZE` shows the memory of each step",
            "[#981](https://site.example/larkdb/larkdb/pull/981)",
            "- A crash when a view was dropped while it was read.",
        ),
        (
            "Pricing for enterprises",
            "Fork 212",
            "Issues 41",
            "17 people reacted",
            "Terms of service apply",
        ),
        known_noise=("Fork 212",),
    ),
    Page(
        "news_zh",
        "新图书馆下月开放_临江日报网",
        (
            "馆内藏书一百二十万册,设有座位三千个。",
            "晚上十点关门,星期一闭馆整理。",
            "每人每次最多可借十五本,借期为三十天。",
            "一楼设有儿童阅览室",
        ),
        ("广告服务与合作", "今年春茶价格上涨两成", "未经许可不得转载"),
        encoding="gb18030",
    ),
    Page(
        "long",
        "Valves, a specification",
        (
            "This document says how valves behave.",
            "The valve with the number 1 closes within 4 seconds",
            "## Section 200",
            "- Its colour is code 1400.",
            "The valve with the number 400 closes within 403 seconds",
            "valve(400).close()",
        ),
        ("Go to section 17", "Printed copies are not maintained."),
    ),
)
