"""The image and the compose file, as an unprivileged user meets them: no container engine is needed."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.image.container import Container, Service, built, service
from tests.store.conftest import Postgres, Store, migrated_file, postgres, postgres_store  # noqa: F401  fixtures

START_SECONDS = 60.0
NOTHING_MOUNTED = Service(command=None, environment={}, volumes={}, tmpfs=(), read_only=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may enter; those of pytest are closed to it."""
    made = Path(mkdtemp(prefix="image-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def container(folder: Path, of: Service, *outside: Path) -> Container:
    root, volumes = folder / "root", folder / "volumes"
    root.mkdir(exist_ok=True)
    volumes.mkdir(exist_ok=True)
    return Container(image=built(root), service=of, volumes=volumes, outside=outside)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, method: str, path: str, token: str = "", body: object = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def decides_and_seals(of: Container, environment: dict[str, str]) -> None:
    """The service starts, decides, is ready with a sealed log, and ends when it is asked to."""
    port = free_port()
    code, said = of.run("keys", "create", "gateway", "--role", "gateway", "--json", environment=environment)
    assert code == 0, said
    token = json.loads(said)["token"]
    process = of.start("serve", environment={**environment, "POLICY_ENGINE_PORT": str(port)})
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                if ask(port, "GET", "/readyz")[0] == HTTPStatus.OK:
                    break
            except OSError:
                pass
            assert process.poll() is None, process.communicate()[0].decode()
            assert time.monotonic() < end, "the service did not become ready"
            time.sleep(0.1)
        question = {"subject": {"type": "person", "id": "nobody"}, "model": "opus-4.6", "action": "infer"}
        status, answer = ask(port, "POST", "/decide", token, question)
        assert (status, json.loads(answer)["decision"]) == (HTTPStatus.OK, "deny")
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


def test_a_composed_service_starts_on_a_read_only_root_as_a_user_without_rights(
    folder: Path,
    postgres_store: Store,  # noqa: F811
) -> None:
    held = postgres_store.postgres
    assert held is not None
    held.directory.parent.chmod(0o755)
    held.directory.chmod(0o755)
    composed = container(folder, service("policy-engine"), held.directory)
    environment = {"POLICY_ENGINE_DATABASE_URL": postgres_store.url.replace("postgresql:", "postgresql+psycopg:")}

    decides_and_seals(composed, environment)

    tree = [path.name for path in (folder / "volumes" / "ledger").rglob("*")]
    assert "checkpoint" in tree
    assert (folder / "volumes" / "key" / "log.key").stat().st_mode & 0o077 == 0
    assert any((folder / "volumes" / "witness").iterdir())
    # A second container on the same volumes goes on with the same log.
    decides_and_seals(composed, environment)


def test_the_migration_of_the_composed_services_runs_before_they_start(
    folder: Path,
    postgres_store: Store,  # noqa: F811
) -> None:
    held = postgres_store.postgres
    assert held is not None
    held.directory.parent.chmod(0o755)
    held.directory.chmod(0o755)
    migrating = container(folder, service("migrate"), held.directory)
    empty = held.empty()
    url = held.url("owner", empty).replace("postgresql:", "postgresql+psycopg:")

    code, said = migrating.run(environment={"POLICY_ENGINE_DATABASE_URL": url})

    assert (code, said.startswith("the database is at")) == (0, True), said
    held.drop(empty)


def test_the_image_alone_keeps_everything_in_its_own_folder(folder: Path) -> None:
    alone = container(folder, NOTHING_MOUNTED)
    code, said = alone.run("db", "upgrade")
    assert code == 0, said

    decides_and_seals(alone, {})

    kept = folder / "root/var/lib/policy-engine"
    assert sorted(one.name for one in kept.iterdir()) == ["database", "key", "ledger", "witness"]
    assert all(any(one.iterdir()) for one in kept.iterdir())


def test_whatever_a_composed_service_writes_to_is_a_volume_that_the_image_prepares(folder: Path) -> None:
    composed = container(folder, service("policy-engine"))

    assert composed.service.read_only
    for inside in composed.service.volumes:
        assert composed.image.owners[inside] == composed.image.user
    written = {Path(composed.image.environment[f"POLICY_ENGINE_{name}"]) for name in ("LEDGER", "WITNESS", "LOG_KEY")}
    mounted = {Path(inside) for inside in composed.service.volumes}
    assert {path for path in written if not mounted & {path, *path.parents}} == set()
