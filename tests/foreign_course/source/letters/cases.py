"""Cases of a course that has nothing to do with this one."""

import re

from referee.cases import misconception, variant

VOWELS = "aeiou"


def is_vowel(letter):
    return letter.lower() in VOWELS


@misconception("q1-repeats", "Each vowel counts as often as it occurs, not once.")
def count_vowels(text):
    return len({letter.lower() for letter in text if is_vowel(letter)})


@misconception("q1-repeats", "Vowels that stand side by side are several vowels.")
def count_vowels(text):
    return len(re.findall("[aeiou]+", text.lower()))


@misconception("q1-case", "Capital letters are vowels too.")
def count_vowels(text):
    return sum(letter in VOWELS for letter in text)


@misconception("q1-case", "In this question y is no vowel.")
def count_vowels(text):
    return sum(letter.lower() in VOWELS + "y" for letter in text)


@variant("q1")
def count_vowels(text):
    count = 0
    for letter in text:
        if is_vowel(letter):
            count += 1
    return count


@variant("q1")
def count_vowels(text):
    return len(re.findall("[aeiou]", text, re.IGNORECASE))


@variant("q1")
def count_vowels(text):
    return sum(map(text.lower().count, VOWELS))


@misconception("q2-all", "Return how many words went, not how many stay.")
def drop_short(words, least):
    words[:] = [word for word in words if len(word) >= least]
    return len(words)


@misconception("q2-all", "A word that is just long enough stays.")
def drop_short(words, least):
    before = len(words)
    words[:] = [word for word in words if len(word) > least]
    return before - len(words)


@misconception("q2-all", "The caller's list must change, and here a new list is made.")
def drop_short(words, least):
    kept = [word for word in words if len(word) >= least]
    return len(words) - len(kept)


@misconception("q2-all", "A list that loses elements in a loop over it skips their neighbors.")
def drop_short(words, least):
    before = len(words)
    for word in words:
        if len(word) < least:
            words.remove(word)
    return before - len(words)


@variant("q2")
def drop_short(words, least):
    gone = 0
    for index in reversed(range(len(words))):
        if len(words[index]) < least:
            del words[index]
            gone += 1
    return gone


@variant("q2")
def drop_short(words, least):
    short = [word for word in words if len(word) < least]
    for word in short:
        words.remove(word)
    return len(short)


@variant("q2")
def drop_short(words, least):
    before = len(words)
    words[:] = filter(lambda word: len(word) >= least, words)
    return before - len(words)
