"""The label index of a team: Elasticsearch."""

from get_data.database.es_utils.query import get_search_query_from_dict

__all__ = ["get_search_query_from_dict"]
