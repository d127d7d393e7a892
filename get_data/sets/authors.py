"""What a set has of labels that are no person's: a model drove there, or nobody has labelled it."""

import json

from get_data.database.search.search_query import SearchQuery
from get_data.labels.constants import NOBODY, PILOT
from get_data.sets.counts import Counts

FIELD = "label.created_by"
WITHOUT = {FIELD: {"type": "terms", "bool": "must_not", "value": [PILOT, NOBODY]}}


def describe(counts: Counts, query: SearchQuery | None) -> str:
    """Return how many such labels there are and how to leave them out; "" where there are none.

    Nor is anything to be told where the query asks for an author. `query` is None for a frozen set.
    """
    driven, unlabelled = (counts.created_by.get(author, 0) for author in (PILOT, NOBODY))
    is_wanted = query is not None and any(clause.field == FIELD for clause in query.clauses)
    if is_wanted or not driven + unlabelled:
        return ""
    pictures = f"{counts.pictures:,} picture{'' if counts.pictures == 1 else 's'}"
    facts = []
    if driven:
        facts.append(f"{driven:,} of {pictures} {_verb(driven, 'was', 'were')} driven by a model")
    if unlabelled:
        whole = "" if driven else f" of {pictures}"
        facts.append(f"{unlabelled:,}{whole} {_verb(unlabelled, 'is', 'are')} not labelled yet")
    return f"{', '.join(facts)}: leave them out {_remedy(query)}"


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many


def _remedy(query: SearchQuery | None) -> str:
    if query is None:
        return "by their created_by in metadata.jsonl, as docs/examples/train.py does"
    if query.clauses:
        return f"with this clause in the query: {json.dumps(WITHOUT)[1:-1]}"
    return "with -q get_data/queries/for_training.json"
