"""Holds what the demo model's training relies on. `python3 -m unittest corpus.test_corpus` in the folder above."""

import itertools
import json
import re
import sys
import unittest
from collections import Counter
from pathlib import Path
from random import Random

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corpus import MOST_CHARACTERS, arithmetic, conversations, dialogues, heldout, personas, rendered_length, smalltalk  # noqa: E402
from corpus.heldout_phrasings import CHAT, MOEGATE  # noqa: E402
from corpus.moegate_models import ALL, FACTS, question  # noqa: E402

FOLDER = Path(__file__).resolve().parent
SAMPLE = 20_000


def plain(text: str) -> str:
    """A text without case and marks: phrasings that differ only in those count as the same."""
    return re.sub(r"[^a-z0-9+]+", " ", text.lower()).strip()


def heldout_conversations() -> list[list[dict]]:
    return [json.loads(line) for line in (FOLDER / "heldout.jsonl").read_text(encoding="utf-8").splitlines()]


def heldout_questions() -> list[dict]:
    return json.loads((FOLDER / "heldout_questions.json").read_text(encoding="utf-8"))


def users(conversation) -> list[str]:
    return [plain(message["content"]) for message in conversation if message["role"] == "user"]


class Stream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sample = list(itertools.islice(conversations(1), SAMPLE))

    def test_a_seed_gives_one_stream_and_another_seed_another(self):
        self.assertEqual(list(itertools.islice(conversations(1), 2_000)), self.sample[:2_000])
        other = {json.dumps(conversation) for conversation in itertools.islice(conversations(2), 2_000)}
        shared = sum(json.dumps(conversation) in other for conversation in self.sample[:2_000])
        self.assertLess(shared, 200)

    def test_roles_alternate_and_lengths_hold(self):
        for conversation in [*self.sample, *heldout_conversations()]:
            roles = [message["role"] for message in conversation]
            asked = roles[1:] if roles[0] == "system" else roles
            self.assertTrue(asked)
            self.assertEqual(asked, ["user", "assistant"] * (len(asked) // 2))
            self.assertLessEqual(rendered_length(conversation), MOST_CHARACTERS)

    def test_no_text_is_empty_or_shows_a_template(self):
        for message in itertools.chain.from_iterable(self.sample):
            text = message["content"]
            self.assertEqual(text, text.strip())
            self.assertTrue(text)
            if "```" not in text:
                self.assertNotRegex(text, r"[\[\]{}|]| {2}| [,?!]")

    def test_reserved_phrasings_are_not_in_the_stream(self):
        held = {user for conversation in heldout_conversations() for user in users(conversation)}
        held |= {user for entry in heldout_questions() for user in users(entry["messages"])}
        self.assertGreater(len(held), 250)
        self.assertEqual(held & {user for conversation in self.sample for user in users(conversation)}, set())

    def test_nothing_in_the_stream_is_nearly_one_of_the_20_questions(self):
        stream = {frozenset(user.split()) for conversation in self.sample for user in users(conversation)}
        for entry in heldout_questions():
            words = frozenset(plain(entry["messages"][-1]["content"]).split())
            nearest = max(stream, key=lambda other: len(words & other) / len(words | other))
            self.assertLess(len(words & nearest) / len(words | nearest), 0.8, (words, nearest))

    def test_most_questions_are_asked_in_many_ways(self):
        seen = Counter(user for conversation in self.sample for user in users(conversation))
        self.assertGreater(len(seen), 0.6 * sum(seen.values()))


class Content(unittest.TestCase):
    def test_every_topic_is_drawn(self):
        rng = Random(1)
        drawn = {dialogues.one(rng).topic for _ in range(2_000)}
        self.assertEqual(drawn, {"moegate", "facts", "unknown", "small talk", "sums", "identity", "text tasks", "lists", "counting"})

    def test_each_fact_of_moegate_has_many_phrasings_and_several_answers(self):
        self.assertGreaterEqual(len(ALL), 80)
        self.assertEqual(len(ALL), len(FACTS))
        for fact in ALL:
            rng = Random(1)
            self.assertGreaterEqual(len({plain(question(rng, fact)) for _ in range(400)}), 12, fact.id)
            self.assertGreaterEqual(len(set(fact.answers)), 3, fact.id)

    def test_sums_are_right(self):
        rng, checked = Random(1), 0
        does = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__, "divided by": int.__floordiv__}
        for _ in range(5_000):
            answer = arithmetic.sum_turn(rng).answer
            for x, name, y, z in re.findall(r"(\d+) (plus|minus|times|divided by) (\d+) is (\d+)", answer):
                self.assertEqual(does[name](int(x), int(y)), int(z), answer)
                checked += 1
        self.assertGreater(checked, 2_000)

    def test_counting_goes_in_equal_steps(self):
        rng, checked = Random(1), 0
        for _ in range(2_000):
            turn = arithmetic.counting(rng)
            numbers = [int(number) for number in re.findall(r"\d+", turn.answer)]
            steps = {after - before for before, after in itertools.pairwise(numbers)}
            self.assertLessEqual(len(steps), 1, turn)
            checked += len(steps)
        self.assertGreater(checked, 1_000)

    def test_a_name_in_the_system_prompt_is_the_one_that_is_said(self):
        rng, said = Random(1), 0
        for _ in range(500):
            system, turns = personas.role(rng, [])
            names = [name for name in personas.NAMES if re.search(rf"\b{name}\b", system)]
            for turn in turns:
                others = [name for name in personas.NAMES if re.search(rf"\b{name}\b", turn.answer) and name not in names]
                self.assertEqual(others, [], (system, turn))
                said += any(name in turn.answer for name in names)
        self.assertGreater(said, 400)

    def test_required_endings_and_beginnings_are_there(self):
        rng = Random(1)
        for _ in range(500):
            system, turns = personas.ending(rng, dialogues.some(rng, 1))
            wanted = re.search(r'"(.+)"', system)[1]
            self.assertTrue(turns[0].answer.endswith(wanted) or turns[0].answer.startswith(wanted), (system, turns))

    def test_what_is_beyond_the_corpus_is_answered_as_such(self):
        rng = Random(1)
        for _ in range(1_000):
            self.assertRegex(dialogues.unknown.turn(rng).answer, r"don't know|beyond what I know", "a refusal says so")


class Heldout(unittest.TestCase):
    def test_the_file_is_what_the_script_makes(self):
        self.assertEqual(heldout_conversations(), heldout.conversations())

    def test_every_fact_is_asked_for(self):
        self.assertEqual(set(MOEGATE), set(FACTS))
        shorts = {pair[2] for pair in [*smalltalk.GREETINGS, *smalltalk.MANNERS, *smalltalk.MOODS, *smalltalk.SELF]}
        self.assertLessEqual(set(CHAT), shorts)

    def test_the_questions_have_key_words(self):
        entries = heldout_questions()
        self.assertEqual(len(entries), 20)
        for entry in entries:
            self.assertEqual(entry["messages"][-1]["role"], "user")
            self.assertTrue(entry["keywords"] and all(entry["keywords"]))


if __name__ == "__main__":
    unittest.main()
