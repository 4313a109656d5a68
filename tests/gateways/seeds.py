"""Configurations that fail open, each in one of the ways in which such gateways were seen to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from policy_engine.cli.gateway_probes import BY_STATUS
from policy_engine.domain.gateways import Profile
from policy_engine.formats.gateway_profiles import read_profiles
from tests.gateways.pages import put_all
from tests.gateways.programs import BIN
from tests.gateways.proxies import PROXIES, nginx_command

PROFILE: Final = """
gateways:
  seed:
    subject_from: [{fixed: carol, type: person}]
    model_from: [{path: model}]
    place_from: [{fixed: US, gives: country}]
    purpose_from: [{fixed: internal_tools}]
    routes: [{method: POST, path: "/models/{model}/invoke", action: infer}]
"""


_DECLARES: Final = PROFILE.replace("{fixed: internal_tools}", "{header: x-purpose}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A configuration with a fault, and probes that find it, as `group: probe`."""

    command: tuple[str, ...]
    files: dict[str, str]
    finds: tuple[str, ...]
    profile: str = PROFILE
    path: str = "/models/{model}/invoke"

    @property
    def read_profile(self) -> Profile:
        """Its only profile."""
        (one,) = read_profiles(self.profile.encode(), "seed").by_gateway.values()
        return one


_NGINX: Final = """
worker_processes 1; pid nginx.pid; error_log stderr warn;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {
    listen 127.0.0.1:8080;
    proxy_http_version 1.1;
    location = /_ask {
      internal;
      proxy_pass http://127.0.0.1:8181/forward-auth;
      proxy_pass_request_body off; proxy_pass_request_headers off;
      proxy_set_header Content-Length ""; proxy_set_header X-Policy-Engine-Key pe_key;
      proxy_set_header X-Forwarded-Method $request_method; proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_connect_timeout 500ms; proxy_read_timeout 500ms;
    }
    SEED
    location @models { proxy_pass http://127.0.0.1:9000; }
  }
}
"""
_ASKS: Final = "location / { auth_request /_ask; proxy_pass http://127.0.0.1:9000; ERRORS }"

_CADDY: Final = """
{
	admin off
	auto_https off
	persist_config off
}
http://127.0.0.1:8080 {
	bind 127.0.0.1
	FIRST
	forward_auth 127.0.0.1:8181 {
		uri /forward-auth?
		header_up X-Policy-Engine-Key pe_key
		copy_headers X-Decision-Id
		transport http {
			dial_timeout 500ms
			response_header_timeout 500ms
		}
	}
	reverse_proxy 127.0.0.1:9000
	LAST
}
"""

_FILTERS: Final = """
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              failure_mode_allow: MODE
              http_service:
                server_uri: {uri: "http://127.0.0.1:8181", cluster: engine, timeout: 0.5s}
                path_prefix: /ext_authz
                authorization_request: {headers_to_add: [{key: x-policy-engine-key, value: pe_key}]}
                authorization_response: {allowed_upstream_headers: {patterns: [{exact: x-decision-id}]}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"""
_ENVOY: Final = """
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: seed
          normalize_path: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              ROUTES
              - {match: {prefix: /}, route: {cluster: models}}
          http_filters:FILTERS
  clusters:
  - name: models
    type: STATIC
    load_assignment:
      cluster_name: models
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9000}}}}]
  - name: engine
    type: STATIC
    connect_timeout: 0.5s
    load_assignment:
      cluster_name: engine
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8181}}}}]
"""
_OPEN_HEALTH: Final = """- match: {prefix: /health}
                route: {cluster: models}
                typed_per_filter_config:
                  envoy.filters.http.ext_authz:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                    disabled: true"""

_TRAEFIK: Final = """
http:
  routers:
    all: {entryPoints: [clients], rule: PathPrefix(`/`), service: models, middlewares: [mark, ask]}
  services:
    models: {loadBalancer: {servers: [{url: "http://127.0.0.1:9000"}]}}
  middlewares:
    mark: {headers: {customRequestHeaders: {X-Policy-Engine-Key: pe_key}}}
    ask: {forwardAuth: {address: "http://127.0.0.1:8181/forward-auth", authResponseHeaders: [X-Decision-Id]}}
"""
_TRAEFIK_STATIC: Final = """
global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: ERROR}
entryPoints: {clients: {address: "127.0.0.1:8080"}}
providers: {file: {filename: dynamic.yaml}}
"""


def _nginx(seed: str) -> dict[str, str]:
    return {"nginx.conf": _NGINX.replace("SEED", seed)}


def _caddy(*, first: str = "", last: str = "") -> dict[str, str]:
    return {"Caddyfile": _CADDY.replace("FIRST", first).replace("LAST", last)}


def _envoy(*, mode: str = "false", routes: str = "") -> dict[str, str]:
    filters = _FILTERS.replace("MODE", mode)
    text = _ENVOY.replace("FILTERS", filters)
    return {"envoy.yaml": text.replace("ROUTES", routes) if routes else text.replace("              ROUTES\n", "")}


def _haproxy() -> dict[str, str]:
    """The documented configuration, with the two rules turned round."""
    files = {name: text for name, text in PROXIES["haproxy"].files.items() if name != "gateways.yaml"}
    lines = files["haproxy.cfg"].splitlines(keepends=True)
    (unless,) = [line for line in lines if "unless { var(txn.answer) -m str allow }" in line]
    return files | {"haproxy.cfg": put_all(files["haproxy.cfg"], {unless: ""})}


_ENVOY_COMMAND: Final = (
    *(str(BIN / "envoy"), "-c", "envoy.yaml"),
    *("--concurrency", "1", "--use-dynamic-base-id", "-l", "error"),
)

SEEDS: Final = {
    "nginx: an error page that forwards": Seed(
        command=nginx_command(),
        files=_nginx(_ASKS.replace("ERRORS", "error_page 500 502 503 504 = @models;")),
        finds=("failures: it hangs", "failures: it resets the connection", "failures: 503", "failures: it is down"),
    ),
    "nginx: return beside auth_request": Seed(
        command=nginx_command(),
        files=_nginx(
            _ASKS.replace("ERRORS", "") + " location = /v1/models { auth_request /_ask; return 200 '{\"data\":[]}'; }"
        ),
        finds=("paths: /v1/models",),
    ),
    "Caddy: an error handler that forwards": Seed(
        command=PROXIES["caddy"].command,
        files=_caddy(last="handle_errors {\n\t\treverse_proxy 127.0.0.1:9000\n\t}"),
        finds=("failures: it hangs", "failures: it resets the connection", "failures: it is down"),
    ),
    "Caddy: the client's header is removed after the question": Seed(
        command=PROXIES["caddy"].command,
        files=_caddy(first="request_header -X-Purpose"),
        finds=("headers: x-purpose",),
        profile=_DECLARES,
    ),
    "HAProxy: denied is what was denied": Seed(
        command=PROXIES["haproxy"].command,
        files=_haproxy(),
        finds=tuple(f"failures: {one}" for one in ("it hangs", "503", "200 with garbage", "it is down")),
        profile=PROXIES["haproxy"].files["gateways.yaml"],
        path="/v1/chat/completions",
    ),
    "Envoy: failure_mode_allow": Seed(
        command=_ENVOY_COMMAND,
        files=_envoy(mode="true"),
        finds=("failures: it hangs", "failures: it resets the connection", "failures: 503", "failures: it is down"),
    ),
    "Envoy: an open prefix": Seed(
        command=_ENVOY_COMMAND,
        files=_envoy(routes=_OPEN_HEALTH),
        finds=("paths: /healthz/x", "paths: /healthzz"),
    ),
    "Traefik: every header of the client's is sent": Seed(
        command=PROXIES["traefik"].command,
        files={"traefik.yaml": _TRAEFIK_STATIC, "dynamic.yaml": _TRAEFIK},
        finds=("headers: x-purpose",),
        profile=_DECLARES,
    ),
}
"""The eight traps of these programs' configurations."""

_KEPT: Final = (
    "proxy_cache_path kept keys_zone=kept:1m;",
    "proxy_cache kept; proxy_cache_key $request_uri; proxy_cache_valid 200 10m;"
    " proxy_ignore_headers Cache-Control Expires; proxy_cache_methods GET HEAD POST;",
)


def _keeping() -> dict[str, str]:
    text = _NGINX.replace("SEED", _ASKS.replace("ERRORS", ""))
    changes = {"access_log off;": f"access_log off; {_KEPT[0]}", "internal;": f"internal; {_KEPT[1]}"}
    return {"nginx.conf": put_all(text, changes)}


def _first_member() -> dict[str, str]:
    """The documented configuration of HAProxy, with the model as `json_query` finds it."""
    files = {name: text for name, text in PROXIES["haproxy"].files.items() if name != "gateways.yaml"}
    lua = put_all(files["policy.lua"], {"local name = model(txn)": 'local name = txn:get_var("txn.model")'})
    ask = "    http-request lua.ask\n"
    query = "    http-request set-var(txn.model) req.body,json_query('$.model')\n"
    told = "    default_backend models\n"
    write = "    http-request set-header x-model %[var(txn.model)]\n"
    config = put_all(files["haproxy.cfg"], {ask: query + ask, told: write + told})
    return files | {"haproxy.cfg": config, "policy.lua": lua}


MORE_SEEDS: Final = {
    "nginx: an answer that is kept": Seed(
        command=nginx_command(),
        files=_keeping(),
        finds=("time: an allow that has expired", "time: the next request after a revocation in mid-stream"),
    ),
    "HAProxy: the first of two members": Seed(
        command=PROXIES["haproxy"].command,
        files=_first_member(),
        finds=("names: two members, the denied one last", "names: `fallbacks` of names"),
        profile=PROXIES["haproxy"].files["gateways.yaml"],
        path="/v1/chat/completions",
    ),
    "Traefik: the key goes on, and any success allows": Seed(
        command=PROXIES["traefik"].command,
        files={"traefik.yaml": _TRAEFIK_STATIC, "dynamic.yaml": _TRAEFIK},
        finds=("set-up: the gateway's key", *(f"failures: {name}" for name in sorted(BY_STATUS))),
    ),
    "Caddy: a decision of the client's own": Seed(
        command=PROXIES["caddy"].command,
        files={
            "Caddyfile": put_all(
                _CADDY.replace("FIRST", "").replace("LAST", ""), {"\t\tcopy_headers X-Decision-Id\n": ""}
            )
        },
        finds=("headers: x-decision-id",),
    ),
}
"""Other faults, so that each kind of probe has one that it finds."""

PLAIN: Final = {
    "nginx: auth_request alone": Seed(command=nginx_command(), files=_nginx(_ASKS.replace("ERRORS", "")), finds=()),
    "Caddy: forward_auth": Seed(command=PROXIES["caddy"].command, files=_caddy(), finds=()),
    "Traefik: forwardAuth without the second router": Seed(
        command=PROXIES["traefik"].command,
        files={"traefik.yaml": _TRAEFIK_STATIC, "dynamic.yaml": _TRAEFIK},
        finds=(),
    ),
}
"""The plainest way in which each program asks: no fault of a configuration, and not the documented one."""
