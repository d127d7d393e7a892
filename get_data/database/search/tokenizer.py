"""A tokenizer that splits text as Elasticsearch's standard analyser does."""

import re
import unicodedata
from functools import lru_cache

# After Unicode Annex 29. `_TOKEN` matches classes of characters, one letter each:
#   A letter  N digit  K katakana  I ideograph or hiragana  T Thai and related scripts
#   P pictograph  R regional indicator  _ joiner  E combining mark  Z zero-width joiner
#   : inside words only  , inside numbers only  . inside both  and a blank for separators
_RUN = "(?:(?:A[EZ]*(?:[:.][EZ]*(?=A))?|N[EZ]*(?:[,.][EZ]*(?=N))?)+|(?:K[EZ]*)+)"
_TOKEN = re.compile(
    f"(?:_[EZ]*)*{_RUN}(?:(?:_[EZ]*)+{_RUN})*(?:_[EZ]*)*"
    "|I[EZ]*|(?:T[EZ]*)+|R[EZ]*R?[EZ]*|Z*P[EZ]*(?:(?<=Z)P[EZ]*)*"
)
_BY_CATEGORY = {"L": "A", "Nl": "A", "Nd": "N", "Pc": "_", "M": "E", "Cf": "E"}
_BY_CHARACTER = {
    ":": ":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a",
    ",": ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b",
    ".": ".'\u2018\u2019\u2024\ufe52\uff07\uff0e",
    " ": "\u200b",
    "Z": "\u200d",
    "A": "\u24b6-\u24e9",  # circled letters
    "E": "\U0001f3fb-\U0001f3ff",  # skin tones
    "I": "\u3005\u3007\u3041-\u3096\u309d-\u309f\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "K": "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u32d0-\u32fe\u3300-\u3357\uff66-\uff9d",
    "T": "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1780-\u17d3",
    "R": "\U0001f1e6-\U0001f1ff",
    "P": "\u00a9\u00ae\u231a\u231b\u2600-\u27bf\u2b50\u2b55\U0001f000-\U0001faff",
}
_MAX_TOKEN_LENGTH = 255


def tokenize(text: str) -> list[str]:
    """Return the tokens of a text in lower case.

    A token consists of letters, digits and underscores with their combining marks. A single ' . or
    : between letters, and a single ' . or , between digits, belong to it. Each Chinese character,
    hiragana and emoji is a token; a run of katakana or of Thai is one token. Rare scripts are
    approximated.
    """
    classes = "".join(map(_class_of, text))
    tokens = (text[match.start() : match.end()] for match in _TOKEN.finditer(classes))
    return [
        _lower(token[start : start + _MAX_TOKEN_LENGTH])
        for token in tokens
        for start in range(0, len(token), _MAX_TOKEN_LENGTH)
    ]


@lru_cache(maxsize=4096)
def _class_of(char: str) -> str:
    for name, characters in _BY_CHARACTER.items():
        if re.match(f"[{characters}]", char):
            return name
    category = unicodedata.category(char)
    return _BY_CATEGORY.get(category) or _BY_CATEGORY.get(category[0], " ")


def _lower(token: str) -> str:
    # one by one: Elasticsearch has no final sigma, and no letter that becomes two
    return token.lower() if token.isascii() else "".join(char.lower()[0] for char in token)
