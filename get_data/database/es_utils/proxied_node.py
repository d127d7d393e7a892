"""Connections to Elasticsearch through an HTTP proxy, which its client library does not support."""

from urllib.parse import unquote, urlsplit

from elastic_transport import NodeConfig, Urllib3HttpNode
from urllib3 import HTTPSConnectionPool, ProxyManager, Timeout, make_headers


def node_class(proxy: str) -> type[Urllib3HttpNode]:
    """Return a node class that connects to an https server through the proxy at this URL."""

    class ProxiedNode(Urllib3HttpNode):
        """A node whose requests go through a CONNECT tunnel of the proxy."""

        def __init__(self, config: NodeConfig) -> None:
            super().__init__(config)
            direct = self.pool
            assert isinstance(direct, HTTPSConnectionPool)
            manager = ProxyManager(
                proxy,
                proxy_headers=_login_header(proxy),
                timeout=Timeout(total=config.request_timeout),
                maxsize=config.connections_per_node,
                block=True,
                ssl_context=direct.conn_kw["ssl_context"],
                cert_reqs=direct.cert_reqs,
                ca_certs=direct.ca_certs,
            )
            self.pool = manager.connection_from_host(config.host, config.port, "https")

    return ProxiedNode


def _login_header(proxy: str) -> dict[str, str]:
    """Return the header with the login in the proxy's URL, if there is one."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(make_headers(proxy_basic_auth=login))
