"""A container without an engine: the file system that the Dockerfile makes, mounted and entered as Docker would.

The instructions of the Dockerfile are followed one by one (COPY, ENV, USER and the folders that RUN makes; the packages
are those of this interpreter), and the compose file says what a service may write. Then the tree is mounted read-only
in a mount namespace of its own, and the command runs in it as the image's user without any capability.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from tests.conftest import ROOT

_IS_ROOT: Final = os.geteuid() == 0
"""Who is not root gets a user namespace in which the service runs as its only user: what it may write to is still told
by what is mounted read-only, whose it is is not."""
_APART: Final = ("unshare", "--mount", *(() if _IS_ROOT else ("--map-root-user",)))
_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/dev")


@dataclass(slots=True, kw_only=True)
class Image:
    """What the Dockerfile says: the tree of files, the environment, the user and the command."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: int = 0
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    owners: dict[str, int] = field(default_factory=dict)

    def inside(self, path: str) -> Path:
        """Where a path of the image lies outside."""
        return self.root / str(Path(self.workdir) / path).lstrip("/")


def built(root: Path) -> Image:
    """Follow the Dockerfile into an empty folder. Raises `AssertionError` for an instruction that is not understood."""
    image = Image(root=root)
    for instruction, rest in _instructions((ROOT / "Dockerfile").read_text()):
        match instruction:
            case "FROM" | "EXPOSE" | "HEALTHCHECK":
                continue
            case "WORKDIR":
                image.workdir = rest
                image.inside(rest).mkdir(parents=True, exist_ok=True)
            case "ENV":
                image.environment |= dict(word.split("=", 1) for word in shlex.split(rest))
            case "COPY":
                _copy(image, shlex.split(rest))
            case "RUN":
                for command in rest.split("&&"):
                    _run(image, shlex.split(command))
            case "USER":
                image.user = int(rest)
            case "ENTRYPOINT":
                image.entrypoint = tuple(json.loads(rest))
            case "CMD":
                image.command = tuple(json.loads(rest))
            case _:
                raise AssertionError(f"{instruction} is not understood")
    return image


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if line.strip():
            instruction, _, rest = line.partition(" ")
            yield instruction, rest.strip()


def _copy(image: Image, words: Sequence[str]) -> None:
    *sources, target = words
    for source in sources:
        held, to = ROOT / source, image.inside(target)
        if held.is_dir():
            shutil.copytree(held, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            to = to / held.name if target.endswith("/") or len(sources) > 1 else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(held, to)


def _run(image: Image, words: Sequence[str]) -> None:
    match words:
        case ["install", "-d", "-o", owner, "-g", group, "-m", mode, *folders]:
            for folder in folders:
                made = image.inside(folder)
                made.mkdir(parents=True, exist_ok=True)
                made.chmod(int(mode, 8))
                image.owners[folder] = int(owner)
                if _IS_ROOT:
                    os.chown(made, int(owner), int(group))
        case ["pip" | "groupadd" | "useradd", *_]:
            pass
        case _:
            raise AssertionError(f"RUN {shlex.join(words)} is not understood")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of the compose file: what is set and mounted, and whether the root of its files is read-only."""

    command: tuple[str, ...] | None
    environment: Mapping[str, str]
    volumes: Mapping[str, str]
    tmpfs: tuple[str, ...]
    read_only: bool


def service(name: str) -> Service:
    """A service as the compose file has it."""
    held = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    command = held.get("command")
    return Service(
        command=None if command is None else tuple(command),
        environment=held.get("environment", {}),
        volumes={inside: volume for volume, inside in (one.split(":")[:2] for one in held.get("volumes", ()))},
        tmpfs=tuple(held.get("tmpfs", ())),
        read_only=bool(held.get("read_only", False)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An image with the volumes that a service has; `outside` are folders of this machine at their own path."""

    image: Image
    service: Service
    volumes: Path
    outside: tuple[Path, ...] = ()

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """The image's entry point with a command, else the service's, else the image's own."""
        words = command or self.service.command or self.image.command
        given = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/usr/sbin:/bin:/sbin",
            # What `pip install` has put into the image lies in this interpreter's own environment here.
            "PYTHONPATH": self.image.workdir,
            **self.image.environment,
            **self.service.environment,
            **(environment or {}),
        }
        return subprocess.Popen(  # noqa: S603  made of this project's own files
            [*_APART, "sh", "-euc", self._mounts(words)],
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command to its end: its exit code and what it said."""
        process = self.start(*command, environment=environment)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said.decode()

    def _mounts(self, words: Sequence[str]) -> str:
        root = self.image.root
        script = [f"mount --bind {root} {root}"]
        script += [
            f"mkdir -p {root}{inside} && mount -t tmpfs -o mode=1777 tmpfs {root}{inside}"
            for inside in self.service.tmpfs
        ]
        python = (sys.base_prefix, sys.prefix)
        for folder in (*_SYSTEM, *python, *map(str, self.outside)):
            if Path(folder).exists() and not Path(folder).is_symlink():
                script.append(f"mkdir -p {root}{folder} && mount --rbind {folder} {root}{folder}")
            elif Path(folder).is_symlink():
                script.append(f"ln -sfn {Path(folder).readlink()} {root}{folder}")
        for inside, volume in self.service.volumes.items():
            script.append(f"mkdir -p {root}{inside} && mount --bind {self._volume(volume, inside)} {root}{inside}")
        if self.service.read_only:
            script.append(f"mount -o remount,bind,ro {root}")
        user = f"--userspec={self.image.user}:{self.image.user} --groups=" if _IS_ROOT else ""
        inside_words = shlex.join([*self.image.entrypoint, *words])
        enter = f"cd {self.image.workdir} && exec {inside_words}"
        script.append(f"exec chroot {user} {root} /bin/sh -euc {shlex.quote(enter)}")
        return "\n".join(script)

    def _volume(self, name: str, inside: str) -> Path:
        """A named volume; a new one takes the owner and the mode of the folder that it covers, else it is root's."""
        volume = self.volumes / name
        if not volume.exists():
            volume.mkdir()
            covered = self.image.inside(inside)
            if covered.exists():
                held = covered.stat()
                volume.chmod(held.st_mode & 0o7777)
                if _IS_ROOT:
                    os.chown(volume, held.st_uid, held.st_gid)
        return volume
