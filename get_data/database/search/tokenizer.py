"""The words of a text, as Elasticsearch's standard analyser finds them."""

import re
import unicodedata
from functools import lru_cache

# After Unicode's Annex 29. `_WORD` is written in letters that say what a character is:
#   A letter  N digit  K katakana  I one that is a word alone  T Thai and its neighbours
#   P pictograph  R half a flag  _ joiner  E mark on the one before  Z zero-width joiner
#   : only within words  , only within numbers  . within both  and a blank for what parts words
_RUN = "(?:(?:A[EZ]*(?:[:.][EZ]*(?=A))?|N[EZ]*(?:[,.][EZ]*(?=N))?)+|(?:K[EZ]*)+)"
_WORD = re.compile(
    f"(?:_[EZ]*)*{_RUN}(?:(?:_[EZ]*)+{_RUN})*(?:_[EZ]*)*"
    "|I[EZ]*|(?:T[EZ]*)+|R[EZ]*R?[EZ]*|Z*P[EZ]*(?:(?<=Z)P[EZ]*)*"
)
_BY_CATEGORY = {"L": "A", "Nl": "A", "Nd": "N", "Pc": "_", "M": "E", "Cf": "E"}
_BY_NAME = {
    ":": ":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a",
    ",": ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b",
    ".": ".'\u2018\u2019\u2024\ufe52\uff07\uff0e",
    " ": "\u200b",
    "Z": "\u200d",
    "A": "\u24b6-\u24e9",  # letters in circles
    "E": "\U0001f3fb-\U0001f3ff",  # colours of skin
    "I": "\u3005\u3007\u3041-\u3096\u309d-\u309f\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "K": "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u32d0-\u32fe\u3300-\u3357\uff66-\uff9d",
    "T": "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1780-\u17d3",
    "R": "\U0001f1e6-\U0001f1ff",
    "P": "\u00a9\u00ae\u231a\u231b\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff",
}
_LONGEST_WORD = 255


def words(text: str) -> list[str]:
    """The words of a text in small letters, as Elasticsearch's standard analyser finds them.

    Letters, digits and underscores make a word; marks such as an accent belong to it, and so does a
    single ' . or : between letters, and a single ' . or , between digits. A Chinese character, one
    of hiragana and an emoji is a word of its own, a row of katakana or of Thai one word. What only
    rare scripts have is told roughly.
    """
    kinds = "".join(map(_kind_of, text))
    found = (text[word.start() : word.end()] for word in _WORD.finditer(kinds))
    return [
        _small(word[start : start + _LONGEST_WORD])
        for word in found
        for start in range(0, len(word), _LONGEST_WORD)
    ]


@lru_cache(maxsize=4096)
def _kind_of(char: str) -> str:
    for kind, characters in _BY_NAME.items():
        if re.match(f"[{characters}]", char):
            return kind
    category = unicodedata.category(char)
    return _BY_CATEGORY.get(category) or _BY_CATEGORY.get(category[0], " ")


def _small(word: str) -> str:
    # one by one: Elasticsearch knows no final sigma, and no letter that becomes two
    return word.lower() if word.isascii() else "".join(char.lower()[0] for char in word)
