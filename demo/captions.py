"""Words for scenes: what to claim about a picture, and how to say it.

Wordings come in two sets that share their words and no sentence pattern: the model learns from `TRAINING` and is judged on
`HELD_OUT`. The corpus has plain sentences for captions, which people read and the model does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from demo.backdrops import SETTINGS
from demo.relevance import Claim, Mention
from demo.scenes import Scene
from demo.things import KINDS

COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "crimson", "scarlet"),
    "orange": ("orange", "orange", "tangerine"),
    "yellow": ("yellow", "yellow", "golden"),
    "green": ("green", "green", "emerald"),
    "blue": ("blue", "blue", "azure"),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink", "pink", "rosy"),
    "brown": ("brown", "brown", "chestnut"),
    "black": ("black", "black", "jet black"),
    "white": ("white", "white", "ivory"),
}
COUNT_WORDS: dict[int, tuple[str, ...]] = {
    1: ("one", "a single", "just one"),
    2: ("two", "two", "a pair of", "a couple of", "2"),
    3: ("three", "three", "a trio of", "3"),
}
NUMBERS = {1: "a", 2: "two", 3: "three"}
# Words that people add and that no picture contradicts.
FLOURISHES = ("cute", "lovely", "pretty", "funny", "happy", "nice")
_FLOURISHED = 0.06
RELATION_WORDS: dict[str, tuple[str, ...]] = {
    "beside": ("beside", "next to", "by the side of"),
    "above": ("above", "over"),
    "under": ("under", "below", "beneath"),
}


@dataclass(frozen=True)
class Wordings:
    """Sentence patterns. `{np}` is the thing or things, `{place}` where they are, `{doing}` a word for how they are there.

    In `coloured`, the patterns of a noun phrase with a colour, `{n}` is a count or an article, `{c}` the colour, `{x}` the noun.
    """

    coloured: tuple[str, ...]
    bare: tuple[str, ...]
    placed: tuple[str, ...]
    place_only: tuple[str, ...]


TRAINING = Wordings(
    coloured=("{n} {c} {x}", "{n} {c} {x}", "{n} {c} {x}", "{n} {x} that {be} {c}", "{c} {x}, {n}"),
    bare=(
        "{np}",
        "{np}",
        "{np}",
        "{np} {doing}",
        "a picture of {np}",
        "a drawing of {np}",
        "look at {np}",
        "there {be} {np}",
        "a storybook page with {np}",
        "an image with {np} in it",
        "find {np}",
        "a photo of {np}",
        "it shows {np}",
        "we see {np}",
        "a painted scene: {np}",
        "{np} in a picture",
        "show {np} to me",
    ),
    placed=(
        "{np} {place}",
        "{np} {place}",
        "{np} {doing} {place}",
        "{np} {doing} {place}",
        "{place}, {np}",
        "{place} there {be} {np}",
        "a picture of {np} {place}",
        "a painted scene with {np} {place}",
        "look at {np} {doing} {place}",
        "a photo taken {place} of {np}",
        "{np}, all {place}",
    ),
    place_only=("{place}", "a scene {place}", "a picture taken {place}"),
)
HELD_OUT = Wordings(
    coloured=("{n} {x}, all {c}", "{n} {x} painted {c}", "{n} {c} {x}"),
    bare=(
        "an image of {np}",
        "a page that shows {np}",
        "show me {np}",
        "look, {np}",
        "a scene with {np} in it",
        "we look at {np}",
        "a drawing that shows {np} {doing}",
        "find me a photo with {np}",
    ),
    placed=(
        "a drawing of {np} {doing} {place}",
        "{place} we see {np}",
        "an image that shows {np} {place}",
        "show me {np} {place}",
        "look, {np} {doing} {place}",
        "a storybook scene {place} with {np}",
        "find {np} taken {place}",
    ),
    place_only=("a page that shows a scene {place}",),
)


@dataclass(frozen=True)
class Caption:
    """A text and exactly what it claims."""

    text: str
    claim: Claim


def caption(scene: Scene, random: Random, wordings: Wordings = TRAINING) -> Caption:
    """A true caption of `scene`: some of its facts, in some words."""
    claim = claim_about(scene, random)
    return Caption(word(claim, random, wordings), claim)


# How often a caption says what, in percent. The four judged kinds of query lead; the others keep sentences whole.
_SHAPES: dict[str, int] = {
    "object": 10,
    "colour": 22,
    "setting": 20,
    "count": 20,
    "colour setting": 6,
    "colour count": 6,
    "count setting": 5,
    "colour count setting": 3,
    "pair": 6,
    "place": 2,
}


def claim_about(scene: Scene, random: Random) -> Claim:
    """Some of the facts of `scene`, which of them chosen by `_SHAPES`."""
    shape = random.choices(list(_SHAPES), list(_SHAPES.values()))[0]
    setting = scene.setting if "setting" in shape else None
    if shape == "place":
        return Claim((), scene.setting)
    if shape == "pair" and len(scene.groups) > 1:
        relation = scene.relation if random.random() < 0.7 else None
        first, second = scene.groups
        colours = random.random() < 0.4
        pair = tuple(Mention(group.kind, group.colour if colours else None) for group in (first, second))
        return Claim(pair, None, relation)
    group = random.choice(scene.groups)
    colour = group.colour if "colour" in shape else None
    return Claim((Mention(group.kind, colour, group.count if "count" in shape else None),), setting)


def sentence(scene: Scene) -> str:
    """All the facts of `scene` in plain words: "two brown dogs in the snow"."""
    things = (f"{NUMBERS[group.count]} {group.colour} {KINDS[group.kind].nouns[0][group.count > 1]}" for group in scene.groups)
    joint = RELATION_WORDS[scene.relation][0] if scene.relation else "and"
    return _tidy(f"{f' {joint} '.join(things)} {SETTINGS[scene.setting].phrases[0]}")


def word(claim: Claim, random: Random, wordings: Wordings = TRAINING) -> str:
    """One way among many to say `claim` in the given wordings."""
    place = random.choice(SETTINGS[claim.setting].phrases) if claim.setting else ""
    if not claim.mentions:
        return random.choice(wordings.place_only).format(place=place)
    phrases = [_noun_phrase(mention, random, wordings) for mention in claim.mentions]
    joint = random.choice(RELATION_WORDS[claim.relation]) if claim.relation else random.choice(("and", "with"))
    text, plural = f" {joint} ".join(phrase for phrase, _ in phrases), phrases[0][1]
    pattern = random.choice(wordings.placed if place else wordings.bare)
    doing = random.choice(_doings(claim.mentions[0].kind))
    return pattern.format(np=text, place=place, doing=doing, be="are" if plural else "is")


def _noun_phrase(mention: Mention, random: Random, wordings: Wordings) -> tuple[str, bool]:
    """The words for a mention, and whether they are plural. Without a count the number of the noun is chosen freely."""
    nouns = KINDS[mention.kind].nouns
    singular, plural_form = nouns[0] if random.random() < 0.5 else random.choice(nouns)
    plural = mention.count > 1 if mention.count else random.random() < 0.5
    noun = plural_form if plural else singular
    if random.random() < _FLOURISHED:
        noun = f"{random.choice(FLOURISHES)} {noun}"
    articles = ("some", "", "the") if plural else ("a", "the", "a", "")
    number = random.choice(COUNT_WORDS[mention.count] if mention.count else articles)
    if mention.colour is None:
        return _tidy(f"{number} {noun}"), plural
    colour = random.choice(COLOUR_WORDS[mention.colour])
    patterns = wordings.coloured if mention.count else [p for p in wordings.coloured if not p.endswith("{n}")]
    if number.endswith(" of"):
        patterns = [p for p in patterns if p.startswith("{n}")]
    pattern = random.choice(patterns)
    return _tidy(pattern.format(n=number, c=colour, x=noun, be="are" if plural else "is")), plural


def _tidy(phrase: str) -> str:
    """One space between words, and "an" before a vowel."""
    words = phrase.split()
    for i, following in enumerate(words[1:]):
        if words[i] == "a" and following[0] in "aeiou":
            words[i] = "an"
    return " ".join(words)


def _doings(kind: str) -> Sequence[str]:
    if KINDS[kind].animate:
        return ("playing", "playing", "resting", "sleeping", "running", "having fun", "waiting")
    return ("floating", "flying", "drifting") if KINDS[kind].airy else ("standing", "standing still", "waiting")


def muffled(text: str, random: Random) -> str:
    """`text` with a made-up word in it.

    What people type holds words that no caption does ("a fluffy dog"); a model that has met such noise reads past it.
    """
    words = text.split()
    made_up = "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9)))
    words.insert(random.randint(0, len(words)), made_up)
    return " ".join(words)


def vocabulary(wordings: Wordings) -> set[str]:
    """Every word that captions in these wordings can hold."""
    texts = [*wordings.coloured, *wordings.bare, *wordings.placed, *wordings.place_only]
    for words in (*COLOUR_WORDS.values(), *COUNT_WORDS.values(), *RELATION_WORDS.values()):
        texts += words
    for kind in KINDS.values():
        texts += [form for nouns in kind.nouns for form in nouns] + list(_doings(kind.name))
    texts += [phrase for setting in SETTINGS.values() for phrase in setting.phrases]
    texts += [*FLOURISHES, "a an the some and with is are"]
    return {word.strip(",:") for text in texts for word in text.split() if "{" not in word}
