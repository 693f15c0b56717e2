"""`dartjobs submit`."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dartjobs.cli.options import connection_options, key_value, output_option, session

if TYPE_CHECKING:
    from dartjobs.cli.spec_flags import Request
    from dartjobs.client.effects import Json

_F = TypeVar("_F", bound=Callable[..., Any])


def _replicas(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if match is None:
        msg = f"{text!r} is neither a number nor a range like 1-4"
        raise click.BadParameter(msg)
    return int(match[1]), int(match[2] or match[1])


_PAIRS: dict[str, Any] = {"multiple": True, "type": key_value, "metavar": "K=V"}
_OPTIONS = (
    click.option(
        "--file",
        "-f",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A JobSpec in YAML, or KubeRay's RayJob; - is stdin.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        metavar="FIELD",
        help="Pass over the fields of this name in a RayJob, like image, with all that is in them.",
    ),
    click.option("--name", metavar="NAME", help="Name of the job [that of the working directory]."),
    click.option(
        "--working-dir",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder of the code, uploaded and the job's working directory [.; with --file what the file says].",
    ),
    click.option("--no-working-dir", is_flag=True, help="Upload nothing."),
    click.option("--cpu", metavar="CORES", help="Cores of the head, where the entrypoint runs, like 2 or 500m."),
    click.option("--memory", metavar="BYTES", help="Memory of the head, like 4Gi."),
    click.option("--gpu", type=int, metavar="N", help="GPUs of the head."),
    click.option("--resource", **_PAIRS, help="Custom Ray resource of the head."),
    click.option("--workers", type=_replicas, metavar="N[-M]", help="Workers: so many, or between N and M of them."),
    click.option("--worker-cpu", metavar="CORES", help="Cores of each worker."),
    click.option("--worker-memory", metavar="BYTES", help="Memory of each worker."),
    click.option("--worker-gpu", type=int, metavar="N", help="GPUs of each worker."),
    click.option("--worker-resource", **_PAIRS, help="Custom Ray resource of each worker."),
    click.option("--env", multiple=True, metavar="K[=V]", help="Environment; K alone takes its value here."),
    click.option("--pip", multiple=True, metavar="REQ", help="Requirement to install with pip."),
    click.option("--uv", multiple=True, metavar="REQ", help="Requirement to install with uv."),
    click.option("--timeout", metavar="TIME", help="Total time that the job may take, like 90s, 10m or 24h."),
    click.option("--ttl", metavar="TIME", help="How long to keep the finished job's Ray cluster, for debugging."),
    click.option("--grace", metavar="TIME", help="Between SIGTERM and SIGKILL when it is stopped."),
    click.option("--priority", type=int, metavar="N", help="Higher goes first."),
    click.option("--label", **_PAIRS, help="Label."),
    click.option("--annotation", **_PAIRS, help="Annotation."),
    click.option("--metadata", **_PAIRS, help="Entry of Ray's own job metadata."),
    click.option("--cluster-selector", **_PAIRS, help="Label that the cluster must have."),
    click.option(
        "--retry",
        **{**_PAIRS, "metavar": "CATEGORY=N"},
        help="Tries again N times after a failure that is user, user_env, infrastructure, capacity or timeout.",
    ),
)


def _spec_options(function: _F) -> _F:
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("arguments", metavar="[--] CMD [ARGS]...", nargs=-1, type=click.UNPROCESSED)
@_spec_options
@click.option("--follow", is_flag=True, help="Write the log to stdout, and exit as the job does.")
@click.option("--wait", is_flag=True, help="Wait until the job is finished, and exit as it did.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="The same key with the same job gives the job of the first time [one for each run].",
)
@output_option("table", "wide", "json", "yaml", "name")
@connection_options
def command(*, follow: bool, wait: bool, form: str, idempotency_key: str | None, **given: Any) -> None:
    """Submit a job. Options that may be given again are those for K=V, --env, --pip and --uv.

    One argument after -- is a line for a shell: -- 'python a.py && python b.py'. Several are a program and
    its arguments, run without a shell: -- python train.py --lr 0.1
    """
    from dartjobs.cli.spec_flags import Flags, request_of

    if follow and (wait or form != "table"):
        msg = "--follow writes the log to stdout: use --wait with -o, and without --follow"
        raise click.UsageError(msg)
    job = _submit(request_of(Flags(**given), os.environ), idempotency_key)
    _await(job, follow=follow, wait=wait, form=form)


def _submit(request: "Request", key: str | None) -> "Json":
    """Where the server refuses the spec, or code is to be uploaded, it is checked here: that says more of a field.

    Raises:
        InvalidRequestError: the spec is not valid.
    """
    from dartjobs.cli.uploading import progress
    from dartjobs.client.drafts import drafted, new_key
    from dartjobs.models.problem import InvalidRequestError

    made = drafted(request.spec, request.working_dir, lambda: _check(request.spec))
    with session() as server, progress() as told:
        try:
            return server.submit(made, key or new_key(), told)
        except InvalidRequestError as error:
            if error.code == InvalidRequestError.code:
                _check(request.spec)
            raise


def _check(spec: "Json") -> None:
    from dartjobs.client.specs import checked

    checked(spec)


def _await(job: "Json", *, follow: bool, wait: bool, form: str) -> None:
    from dartjobs.cli.output import show_named_jobs

    if follow or wait:
        from dartjobs.cli import awaiting

        click.echo(f"Submitted {job['id']}.", err=True)
        if follow:
            awaiting.exit_as([awaiting.follow(job["id"], attempt=1, tail=None, raw=False)])
        finished = awaiting.wait_for([job["id"]])
        show_named_jobs(finished, form)
        awaiting.exit_as(finished)
    show_named_jobs([job], form)
    click.echo(f"Follow it:  dartjobs logs {job['id']} --follow\nStop it:    dartjobs stop {job['id']}", err=True)
