"""Connections to Elasticsearch through a proxy, which its client does not know."""

from urllib.parse import unquote, urlsplit

from elastic_transport import NodeConfig, Urllib3HttpNode
from urllib3 import HTTPSConnectionPool, ProxyManager, Timeout, make_headers


def node_class(proxy: str) -> type[Urllib3HttpNode]:
    """Return the kind of node that reaches a server over https through the proxy."""

    class ProxiedNode(Urllib3HttpNode):
        """A node whose requests go through a tunnel that the proxy opens."""

        def __init__(self, config: NodeConfig) -> None:
            super().__init__(config)
            direct = self.pool
            assert isinstance(direct, HTTPSConnectionPool)
            manager = ProxyManager(
                proxy,
                proxy_headers=_login(proxy),
                timeout=Timeout(total=config.request_timeout),
                maxsize=config.connections_per_node,
                block=True,
                ssl_context=direct.conn_kw["ssl_context"],
                cert_reqs=direct.cert_reqs,
                ca_certs=direct.ca_certs,
            )
            self.pool = manager.connection_from_host(config.host, config.port, "https")

    return ProxiedNode


def _login(proxy: str) -> dict[str, str]:
    """Return the header for a proxy whose address holds a login."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(make_headers(proxy_basic_auth=login))
