"""From the flags of `submit`, and the file that they go over, to the fields of a JobSpec."""

import re
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dartjobs.client.rayjobs import is_rayjob, spec_of_rayjob
from dartjobs.models.problem import InvalidRequestError

if TYPE_CHECKING:
    from yaml import SafeLoader

_LONGEST_NAME = 63
_RETRIES = ("user", "user_env", "infrastructure", "capacity", "timeout")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The flags of `submit` that describe the job; None and empty ones were not given."""

    arguments: tuple[str, ...]
    file: Path | None
    name: str | None
    working_dir: Path | None
    no_working_dir: bool
    cpu: str | None
    memory: str | None
    gpu: int | None
    resource: Pairs
    workers: tuple[int, int] | None
    worker_cpu: str | None
    worker_memory: str | None
    worker_gpu: int | None
    worker_resource: Pairs
    env: tuple[str, ...]
    pip: tuple[str, ...]
    uv: tuple[str, ...]
    timeout: str | None
    ttl: str | None
    grace: str | None
    priority: int | None
    label: Pairs
    annotation: Pairs
    metadata: Pairs
    cluster_selector: Pairs
    retry: Pairs
    ignore: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What is to be submitted: the fields of a JobSpec, not checked yet, and the folder that goes with it."""

    spec: dict[str, Any]
    working_dir: str | None


def request_of(flags: Flags, environ: Mapping[str, str]) -> Request:
    """Lay the flags over the file.

    Raises:
        click.UsageError: the flags do not go together.
        InvalidRequestError: the file is no YAML mapping, or a RayJob that asks for what is not offered.
    """
    spec = _of_file(flags)
    working_dir = _take_working_dir(spec, flags)
    if flags.arguments:
        spec["entrypoint"] = flags.arguments[0] if len(flags.arguments) == 1 else list(flags.arguments)
    elif "entrypoint" not in spec:
        msg = "Nothing to run: write the command after --, as in `dartjobs submit -- python train.py`."
        raise click.UsageError(msg)
    given = {
        "name": flags.name,
        "stop_grace_period": flags.grace,
        "ttl_after_finished": flags.ttl,
        "priority": flags.priority,
    }
    spec.update({key: value for key, value in given.items() if value is not None})
    _over(spec, "head", _node(flags.cpu, flags.memory, flags.gpu, flags.resource))
    _lay_workers(spec, flags)
    env = _environment(flags.env, environ)
    _over(spec, "runtime_env", {"pip": list(flags.pip), "uv": list(flags.uv), "env_vars": env})
    _over(spec, "timeouts", {"job": flags.timeout})
    _over(spec, "retries", _retries(flags.retry))
    for field in ("label", "annotation"):
        _over(spec, f"{field}s", dict(getattr(flags, field)))
    _over(spec, "metadata", dict(flags.metadata))
    _over(spec, "cluster_selector", dict(flags.cluster_selector))
    if "name" not in spec and working_dir is not None and (name := name_of_folder(Path(working_dir))):
        spec["name"] = name
    return Request(spec, working_dir)


def _of_file(flags: Flags) -> dict[str, Any]:
    """The fields of the file, a JobSpec or a RayJob; none where there is no file."""
    spec = {} if flags.file is None else read_file(flags.file)
    if is_rayjob(spec):
        brings_code = flags.no_working_dir or flags.working_dir is not None
        return spec_of_rayjob(spec, ignored=flags.ignore, brings_code=brings_code)
    if flags.ignore:
        msg = "--ignore is for fields of a RayJob manifest, and the file is none."
        raise click.UsageError(msg)
    return spec


def read_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; `-` is stdin.

    Raises:
        InvalidRequestError: it cannot be read, or holds something else.
    """
    import yaml

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        found = yaml.load(text, _plain_loader())  # noqa: S506 - it is a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        msg = f"{path} cannot be read as YAML: {error}"
        raise InvalidRequestError(msg) from error
    if not isinstance(found, dict):
        msg = f"{path} holds no JobSpec: write a mapping, with `entrypoint:` at least"
        raise InvalidRequestError(msg)
    return found


def _plain_loader() -> "type[SafeLoader]":
    """A `SafeLoader` to which a date is a text, as in JSON."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def name_of_folder(folder: Path) -> str:
    """A DNS label made of a folder's name; empty where nothing of it can be used."""
    label = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower())
    return label[:_LONGEST_NAME].strip("-")


def _take_working_dir(spec: dict[str, Any], flags: Flags) -> str | None:
    """The folder, or a package's reference; it is taken out of the spec. A file's own is relative to the file."""
    runtime_env = spec.get("runtime_env")
    in_file = None
    if runtime_env is not None:
        if not isinstance(runtime_env, dict) or not isinstance(runtime_env.get("working_dir", ""), str):
            msg = f"{flags.file}: runtime_env is a mapping, and its working_dir a folder's path"
            raise InvalidRequestError(msg)
        spec["runtime_env"] = runtime_env = deepcopy(runtime_env)
        in_file = runtime_env.pop("working_dir", None)
    if flags.no_working_dir:
        if flags.working_dir is not None:
            msg = "--working-dir and --no-working-dir exclude each other"
            raise click.UsageError(msg)
        return None
    if flags.working_dir is not None:
        return str(flags.working_dir)
    if flags.file is None:
        return "."
    if in_file is None or str(in_file).startswith("sha256:") or str(flags.file) == "-":
        return in_file
    return str(flags.file.parent / Path(str(in_file)).expanduser())


def _over(spec: dict[str, Any], field: str, values: dict[str, Any]) -> None:
    """Lay the values that were given over a mapping in the spec; mappings in them likewise."""
    given = {key: value for key, value in values.items() if value not in (None, [], {})}
    if not given:
        return
    section = spec.get(field) or {}
    if not isinstance(section, dict):
        msg = f"{field} in the file is no mapping, so that flags cannot change it"
        raise click.UsageError(msg)
    section = dict(section)
    for key, value in given.items():
        before = section.get(key)
        section[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    spec[field] = section


def _node(cpu: str | None, memory: str | None, gpu: int | None, resources: Pairs) -> dict[str, Any]:
    return {"cpu": cpu, "memory": memory, "gpu": gpu, "resources": dict(resources)}


def _lay_workers(spec: dict[str, Any], flags: Flags) -> None:
    values = _node(flags.worker_cpu, flags.worker_memory, flags.worker_gpu, flags.worker_resource)
    if flags.workers is not None:
        values |= {"min_replicas": flags.workers[0], "max_replicas": flags.workers[1]}
    elif not any(value not in (None, {}) for value in values.values()):
        return
    groups = spec.get("workers") or []
    if not isinstance(groups, list) or len(groups) > 1:
        msg = "The file has several groups of workers: change them there, not by flags."
        raise click.UsageError(msg)
    if not groups and flags.workers is None:
        msg = "--worker-cpu and its like need --workers, to say how many."
        raise click.UsageError(msg)
    holder: dict[str, Any] = {"group": groups[0] if groups else {}}
    _over(holder, "group", values)
    spec["workers"] = [holder["group"]]


def _environment(given: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """`K=V`, or `K` alone for the value that it has here."""
    env = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals and name not in environ:
            msg = f"--env {name}: it is not set here; write {name}=VALUE"
            raise click.UsageError(msg)
        env[name] = value if equals else environ[name]
    return env


def _retries(given: Pairs) -> dict[str, Any]:
    retries = {}
    for category, count in given:
        field = category.lower().replace("-", "_")
        if field not in _RETRIES:
            msg = f"--retry {category}: the categories are {', '.join(_RETRIES)}"
            raise click.UsageError(msg)
        retries[field] = count
    return retries
