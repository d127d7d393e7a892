"""The label index of a team: Elasticsearch.

`get_search_query_from_dict` is the entry for code that queries Elasticsearch on its own.
"""

from get_data.database.es_utils.query import get_search_query_from_dict

__all__ = ["get_search_query_from_dict"]
