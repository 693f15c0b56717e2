"""From a RayJob manifest (`ray.io/v1`, KubeRay) to the fields of a JobSpec; what cannot be honoured is refused by name.

Fields and their meanings are those of KubeRay's `rayjob_types.go` and `raycluster_types.go`.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from dartjobs.client.manifests import Fields, Refusals
from dartjobs.models.problem import InvalidRequestError

API_VERSION, KIND = "ray.io/v1", "RayJob"
_OF_THE_SERVER = (
    "creationTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""What Kubernetes writes into an object: nobody's wish."""
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CONTROLLERS = ("kueue.x-k8s.io/", "ray.io/", "volcano.sh/", "yunikorn.apache.org/")
"""Labels and annotations that a controller obeys."""
_RETRIED = ("user", "user_env", "infrastructure", "capacity")
_JOB_HINTS = {
    "jobId": "ids are the platform's",
    "clusterSelector": "each job has a Ray cluster of its own; --cluster-selector chooses the Kubernetes cluster",
    "submitterPodTemplate": "no pod submits: the platform does",
    "submitterConfig": "no pod submits: the platform does",
    "deletionStrategy": "the whole Ray cluster is deleted, ttlSecondsAfterFinished after the job's end",
    "suspend": "a job waits in the queue until a cluster has room",
    "entrypointNumCpus": "the driver runs on the head and reserves nothing: give the head what it needs",
    "entrypointNumGpus": "the driver runs on the head and reserves nothing: give the head what it needs",
    "entrypointResources": "the driver runs on the head and reserves nothing: give the head what it needs",
}


def is_rayjob(manifest: Mapping[str, Any]) -> bool:
    """Whether it says that it is one."""
    return manifest.get("kind") == KIND


def spec_of_rayjob(
    manifest: Mapping[str, Any], *, ignored: Collection[str] = (), brings_code: bool = False
) -> dict[str, Any]:
    """The fields of a JobSpec that asks for what the manifest asks for.

    Args:
        manifest: the whole object, as YAML has it.
        ignored: names of fields that are passed over, wherever they are and with all that is in them.
        brings_code: a working directory is given besides, in the place of the manifest's.

    Raises:
        InvalidRequestError: its `errors` name each field that cannot be honoured, with what to do instead.
    """
    refusals = Refusals(ignored)
    top = Fields(manifest, "", refusals)
    top.leave("kind", "status")
    if top.take("apiVersion") != API_VERSION:
        refusals.add("apiVersion", f"it should be {API_VERSION}")
    spec = {**_metadata(top.into("metadata")), **_job(top.into("spec"), brings_code=brings_code)}
    top.refuse_rest()
    if refusals.found:
        raise InvalidRequestError(errors=refusals.found)
    return {key: value for key, value in spec.items() if value not in (None, {}, [])}


def _metadata(meta: Fields) -> dict[str, Any]:
    meta.leave(*_OF_THE_SERVER)
    name = meta.take("name") or str(meta.take("generateName") or "").rstrip("-")
    meta.leave("generateName")
    found: dict[str, Any] = {"name": name or None}
    for kind in ("labels", "annotations"):
        marks = meta.into(kind)
        marks.leave(_LAST_APPLIED)
        found[kind] = marks.take_all(lambda key: not key.startswith(_CONTROLLERS))
        marks.refuse_rest(default="no such controller looks at a job here")
    meta.refuse_rest({"namespace": "choose the namespace of DART Jobs with --namespace"})
    return found


def _job(job: Fields, *, brings_code: bool) -> dict[str, Any]:
    mode, manager = job.take("submissionMode"), job.take("managedBy")
    if mode == "InteractiveMode":
        job.refuse("submissionMode", "a job has an entrypoint here")
    if manager not in (None, "ray.io/kuberay-operator"):
        job.refuse("managedBy", "no other controller looks at a job here")
    if job.take("shutdownAfterJobFinishes") is False:
        job.refuse(
            "shutdownAfterJobFinishes",
            "a Ray cluster does not outlive its job for ever: say true, and in ttlSecondsAfterFinished for how long",
        )
    deadline, ttl, limit = (
        job.take(key) for key in ("activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit")
    )
    found = {
        "entrypoint": job.need("entrypoint"),
        "runtime_env": _runtime_env(job, brings_code=brings_code),
        "metadata": job.into("metadata").take_all(),
        "timeouts": {} if deadline is None else {"job": f"{deadline}s"},
        "ttl_after_finished": None if ttl is None else f"{ttl}s",
        "retries": dict.fromkeys(_RETRIED, limit) if limit else {},
        **_cluster(job.into("rayClusterSpec")),
    }
    job.refuse_rest(_JOB_HINTS)
    return found


def _runtime_env(job: Fields, *, brings_code: bool) -> dict[str, Any]:
    text = job.take("runtimeEnvYAML")
    env = Fields(_mapping_in(text, job), job.path("runtimeEnvYAML"), job.refusals)
    if brings_code:
        env.leave("working_dir")
    found = {"pip": _packages(env, "pip"), "uv": _packages(env, "uv"), "env_vars": env.into("env_vars").take_all()}
    env.refuse_rest(
        {"working_dir": "give the folder of the code with --working-dir, or --no-working-dir where the image has it"}
    )
    return {key: value for key, value in found.items() if value}


def _mapping_in(text: object, job: Fields) -> object:
    import yaml

    try:
        return yaml.safe_load(str(text)) if text else {}
    except yaml.YAMLError as error:
        job.refuse("runtimeEnvYAML", f"it is no YAML: {error}")
        return {}


def _packages(env: Fields, key: str) -> list[Any]:
    """Requirements: a list, or under `packages` of a mapping, as Ray takes both."""
    if not env.is_mapping(key):
        given = env.take(key) or []
        if isinstance(given, list):
            return given
        env.refuse(key, "write the requirements themselves, as a list: a file of them is not read")
        return []
    more = env.into(key)
    found = more.take("packages") or []
    more.refuse_rest()
    if not isinstance(found, list):
        more.refuse("packages", "write the requirements themselves, as a list")
        return []
    return found


def _cluster(cluster: Fields) -> dict[str, Any]:
    autoscales = bool(cluster.take("enableInTreeAutoscaling"))
    scaler = cluster.into("autoscalerOptions")
    if scaler.take("version") not in (None, "v2"):
        scaler.refuse("version", "it is v2 here")
    scaler.refuse_rest()
    head = cluster.into("headGroupSpec")
    if head.take("serviceType") not in (None, "ClusterIP"):
        head.refuse("serviceType", "heads are not open to the outside")
    found: dict[str, Any] = {"head": _node(head)}
    head.refuse_rest()
    groups = [_group(one, autoscales=autoscales) for one in cluster.each("workerGroupSpecs")]
    found["workers"] = [one for one in groups if one]
    cluster.refuse_rest({"rayVersion": "it is that of the cluster's image, which its operator chooses"})
    return found


def _group(group: Fields, *, autoscales: bool) -> dict[str, Any]:
    """A worker group; empty where it never has a worker."""
    if group.take("numOfHosts") not in (None, 1):
        group.refuse("numOfHosts", "a replica is one pod here")
    least, now = group.count("minReplicas"), group.count("replicas")
    found = {"name": group.need("groupName"), **_node(group)}
    if autoscales:
        found |= {"min_replicas": least, "max_replicas": group.need("maxReplicas")}
    else:
        group.leave("maxReplicas")
        found |= {"min_replicas": max(least, now), "max_replicas": max(least, now)}
    group.refuse_rest()
    return found if found["max_replicas"] != 0 else {}


def _node(group: Fields) -> dict[str, Any]:
    """What a node has, of the pod template and of the parameters of `ray start`."""
    template = group.into("template")
    pod = template.into("spec")
    container, *others = pod.each("containers") or [Fields({}, pod.path("containers[0]"), group.refusals)]
    for other in others:
        other.refuse_whole("a Ray node is one container here")
    found = _resources(container.into("resources"))
    container.leave("name", "ports")  # informational, says Kubernetes
    container.refuse_rest(
        {
            "image": "the cluster's operator chooses it",
            "env": "put it into env_vars of runtimeEnvYAML",
            "envFrom": "put it into env_vars of runtimeEnvYAML",
        }
    )
    pod.refuse_rest(default="only a profile of the cluster's operator gives this to pods")
    template.into("metadata").refuse_rest(default="only a profile of the cluster's operator gives this to pods")
    template.refuse_rest()
    found["resources"] = _start_params(group.into("rayStartParams"), found)
    return {key: value for key, value in found.items() if value}


def _resources(resources: Fields) -> dict[str, Any]:
    """Limits, as KubeRay reads them; requests where there are none."""
    limits, requests = resources.into("limits"), resources.into("requests")
    found: dict[str, Any] = {}
    for name, field in (("cpu", "cpu"), ("memory", "memory"), ("nvidia.com/gpu", "gpu")):
        limit, request = limits.take(name), requests.take(name)
        found[field] = request if limit is None else limit
        if None not in (limit, request) and str(limit) != str(request):
            requests.refuse(name, "a node has one size here: make it the same as the limit")
        if found[field] is None and field != "gpu":
            limits.refuse(name, "it is required: nothing is placed whose size is not known")
    for one in (limits, requests, resources):
        one.refuse_rest()
    return found


def _start_params(params: Fields, node: Mapping[str, Any]) -> dict[str, Any]:
    """Custom resources; the other parameters that say what holds anyhow are passed over."""
    params.leave("dashboard-host", "block")
    for name, field in (("num-cpus", "cpu"), ("num-gpus", "gpu")):
        value = params.take(name)
        if value is not None and str(value) != str(node.get(field) or 0):
            params.refuse(name, "Ray counts what the container has: leave it out, or make it the same")
    text = params.take("resources")
    custom = _decoded(text)
    if not isinstance(custom, dict):
        params.refuse("resources", "it should be a mapping as JSON, in a string")
        custom = {}
    params.refuse_rest()
    return custom


def _decoded(text: object) -> object:
    """The JSON of a string, which may be quoted twice, for the shell of `ray start`; None where it is none."""
    if not text:
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else None
        return json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return None
