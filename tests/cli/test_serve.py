"""`serve` says that it serves once it does, and what is wrong before it has done anything."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest

from tests.cli.test_cli import Shell, shell  # noqa: F401  a fixture
from tests.conftest import POLICIES


def test_a_port_that_is_taken_is_said_before_anything_is_set_up(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("POLICY_ENGINE_PORT", str(port))
        monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
        told = shell("serve", "--demo")

    assert (told.code, told.out) == (4, "")
    assert f"port {port} of 127.0.0.1 is taken by another program" in told.err
    assert "POLICY_ENGINE_PORT" in told.err
    assert not (tmp_path / "new.db").exists()


def test_a_port_for_grpc_that_is_taken_is_said_before_anything_is_set_up(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("POLICY_ENGINE_PORT", "0")
        monkeypatch.setenv("POLICY_ENGINE_GRPC_PORT", str(port))
        monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
        told = shell("serve", "--demo")

    assert (told.code, told.out) == (4, "")
    assert f"port {port} of 127.0.0.1 is taken by another program" in told.err
    assert "POLICY_ENGINE_GRPC_PORT" in told.err
    assert not (tmp_path / "new.db").exists()


def test_one_port_for_both_is_wrong_usage(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("POLICY_ENGINE_PORT", str(port))
    monkeypatch.setenv("POLICY_ENGINE_GRPC_PORT", str(port))
    told = shell("serve", "--demo")

    assert told.code == 2
    assert "give gRPC a port of its own" in told.err


def test_without_the_packages_for_grpc_the_port_is_refused_with_what_installs_them(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.setenv("POLICY_ENGINE_PORT", "0")
    monkeypatch.setenv("POLICY_ENGINE_GRPC_PORT", "0")
    told = shell("serve", "--demo")

    assert told.code == 2
    assert "-r requirements/grpc.txt" in told.err


def test_an_address_that_this_machine_does_not_have_is_said_in_a_sentence(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLICY_ENGINE_HOST", "192.0.2.1")

    told = shell("serve")

    assert told.code == 4
    assert "of 192.0.2.1 cannot be listened on (" in told.err


@contextmanager
def demonstration(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`serve --demo` on files of its own, ended afterwards as a service manager ends it."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "POLICY_ENGINE_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "POLICY_ENGINE_LEDGER": str(folder / "ledger"),
        "POLICY_ENGINE_WITNESS": str(folder / "witness"),
        "POLICY_ENGINE_LOG_KEY": str(folder / "log.key"),
        "POLICY_ENGINE_POLICIES": str(POLICIES),
        "POLICY_ENGINE_PORT": "0",
        "POLICY_ENGINE_GRPC_PORT": "0",
    }
    process = subprocess.Popen(  # noqa: S603  this interpreter and this project
        [sys.executable, "-m", "policy_engine.cli.main", "serve", "--demo", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def test_who_reads_that_it_serves_is_answered_there(tmp_path: Path) -> None:
    with demonstration(tmp_path) as process:
        assert process.stderr is not None
        said = r"serving on (http://\S+); gRPC for Envoy on 127.0.0.1:(\d+);"
        base, port = next(found.groups() for line in process.stderr if (found := re.search(said, line)) is not None)
        socket.create_connection(("127.0.0.1", int(port)), timeout=10).close()
        with urllib.request.urlopen(f"{base}/livez") as answer:  # noqa: S310  the service of this test
            assert answer.status == 200


def test_a_program_is_told_where_it_serves_and_with_which_keys_in_one_document(tmp_path: Path) -> None:
    with demonstration(tmp_path, "--json") as process:
        assert process.stdout is not None
        told = json.loads("".join(takewhile(lambda line: line != "}\n", process.stdout)) + "}")
        assert {"gateway", "desk", "compliance (dora)", "compliance (egon)", "auditor (ines)", "admin"} == {
            *told["keys"]
        }
        assert re.fullmatch(r"127\.0\.0\.1:\d+", told["grpc"])
        request = urllib.request.Request(  # noqa: S310  the service of this test
            f"{told['url']}/decisions/{told['decision_id']}",
            headers={"Authorization": f"Bearer {told['keys']['auditor (ines)']}"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert answer.status == 200
