"""What the real model is asked for ``recorded.jsonl``: prompt and sampling of each reply."""

from __future__ import annotations

from dataclasses import replace

from bot.generation import Sampling

GREEDY = Sampling(temperature=0)
ASSISTANT = Sampling(temperature=0.2, top_p=0.9, repeat_penalty=1.05, seed=1)
WARM = Sampling(temperature=0.7, seed=2)
HOT = Sampling(temperature=1.2, seed=3)

_FIRST: tuple[tuple[str, Sampling], ...] = (
    ("Who are you?", ASSISTANT),
    ("Give me three ideas for a team lunch.", ASSISTANT),
    ("Explain what an API is to somebody who does not program.", ASSISTANT),
    ("Write a story about a lighthouse keeper.", WARM),
    ("Write a story about a lighthouse keeper.", HOT),
    ("Write a long story about a dragon who is afraid of fire.", GREEDY),
    ("What is the capital of France?", GREEDY),
    ("How do I boil an egg?", WARM),
    ("Summarise the plot of Romeo and Juliet.", ASSISTANT),
    ("Translate 'good morning, how are you?' into French, German, Spanish and Italian.", GREEDY),
    ("Write a poem about the sea with a refrain after every verse.", GREEDY),
    ("Write a poem about the sea with a refrain after every verse.", WARM),
    ("Write a song with a chorus that comes three times.", WARM),
    ("Write a song about rain.", GREEDY),
    ("Count from 1 to 100, separated by commas.", GREEDY),
    ("Count from 1 to 300, one number a line.", GREEDY),
    ("List the first 50 prime numbers.", GREEDY),
    ("List 100 animals as a numbered list.", GREEDY),
    ("List 100 animals as a numbered list.", WARM),
    ("List 50 fruits, one on each line.", ASSISTANT),
    ("List the countries of the world.", GREEDY),
    ("List the countries of Africa.", WARM),
    ("Write a Python function that checks whether a number is prime, with tests.", GREEDY),
    ("Write a Python class for a bank account with all its methods and docstrings.", WARM),
    ("Write a long SQL script that inserts 30 rows into a table of customers.", GREEDY),
    ("Write an HTML page with a table of 10 rows and 4 columns.", GREEDY),
    ("Write an HTML page with a table of 10 rows and 4 columns.", WARM),
    ("Make a Markdown table of the planets with their size, distance and moons.", GREEDY),
    ("Make a Markdown table of the planets with their size, distance and moons.", WARM),
    ("Make a multiplication table from 1 to 12 in Markdown.", GREEDY),
    ("Give me a JSON array of 20 users with id, name and email.", GREEDY),
    ("Give me a JSON array of 20 users with id, name and email.", WARM),
    ("Write a 10x10 matrix of zeros in Python.", GREEDY),
    ("Print the squares of the numbers from 1 to 40, one on each line.", GREEDY),
    ("Make a weekly timetable with a row for each hour from 8:00 to 20:00.", WARM),
    ("Say hello in as many languages as you can.", GREEDY),
    ("Say hello in as many languages as you can.", WARM),
    ("Repeat the word banana.", GREEDY),
    ("Write the alphabet again and again.", GREEDY),
    ("Tell me a joke.", HOT),
    ("Tell me everything about the number pi, with as many digits as you can.", GREEDY),
    ("aaaaaaaaaaaaaaaaaaaaaaaa", GREEDY),
    ("la la la la la la la la la", GREEDY),
    ("Bonjour, peux-tu me raconter l'histoire de Paris en détail ?", GREEDY),
    ("Erzähle mir eine lange Geschichte über einen Fuchs.", GREEDY),
    ("Cuéntame un cuento largo sobre un zorro.", WARM),
    ("請講一個很長的故事。", GREEDY),
    ("Расскажи длинную историю о лисе.", GREEDY),
    ("Write a dialogue between a teacher and a student about gravity, 40 lines.", GREEDY),
    ("Write a dialogue between a teacher and a student about gravity, 40 lines.", WARM),
    ("Write 30 test cases for a login form.", GREEDY),
    ("Write 30 test cases for a login form.", ASSISTANT),
    ("Write a changelog of 40 entries for a text editor.", GREEDY),
    ("What are the steps to bake bread? Be as detailed as possible, at least 50 steps.", GREEDY),
    ("Describe every day of a month on a farm, day by day.", GREEDY),
    ("Describe every day of a month on a farm, day by day.", WARM),
    ("Write a legal contract between a landlord and a tenant.", GREEDY),
    ("Write the lyrics of 99 bottles of beer.", GREEDY),
    ("Explain recursion by explaining recursion.", GREEDY),
    ("Why? Why? Why? Why? Why?", WARM),
)

_LATER = (
    "Write a shopping list for a week.",
    "Write unit tests in Python for a calculator.",
    "Make a table of 15 countries with capital and population.",
    "Explain photosynthesis to a child.",
    "Write a rhyme for every month of the year.",
    "List 40 verbs with their past tense.",
    "Write a bash script that renames files.",
    "Give me a JSON object describing a library of 10 books.",
    "Write a letter of complaint about a late train.",
    "Create a workout plan for 30 days.",
    "Write a css file for a blog.",
    "What is the difference between TCP and UDP?",
)
"""Asked when the guard was finished, with 400 tokens at most: it was not made for these."""

ASKED = (
    *_FIRST,
    *(
        (prompt, sampling)
        for prompt in _LATER
        for sampling in (replace(ASSISTANT, seed=11), replace(WARM, seed=12))
    ),
)
