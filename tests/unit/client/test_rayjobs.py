"""RayJob manifests as job specs: what is taken over, and what is refused by its name."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import yaml

from dartjobs import InvalidRequestError, JobSpec
from dartjobs.client.rayjobs import is_rayjob, spec_of_rayjob
from dartjobs.client.specs import checked

PLAIN = """
apiVersion: ray.io/v1
kind: RayJob
metadata:
  name: nightly-scores
  labels: {team: risk, tier: "2"}
  annotations: {owner: risk@example.org}
spec:
  entrypoint: python -m scores --day today
  shutdownAfterJobFinishes: true
  ttlSecondsAfterFinished: 120
  activeDeadlineSeconds: 7200
  backoffLimit: 2
  submissionMode: HTTPMode
  suspend: false
  metadata: {ticket: R-17}
  runtimeEnvYAML: |
    pip:
      - polars==1.9.0
      - scikit-learn
    env_vars:
      OMP_NUM_THREADS: "4"
  rayClusterSpec:
    headGroupSpec:
      serviceType: ClusterIP
      rayStartParams: {dashboard-host: 0.0.0.0, block: "true"}
      template:
        spec:
          containers:
            - name: ray-head
              ports:
                - {containerPort: 6379, name: gcs}
                - {containerPort: 8265, name: dashboard}
              resources:
                limits: {cpu: "2", memory: 8Gi}
                requests: {cpu: "2", memory: 8Gi}
    workerGroupSpecs:
      - groupName: small
        replicas: 3
        minReplicas: 1
        maxReplicas: 10
        rayStartParams: {}
        template:
          spec:
            containers:
              - name: ray-worker
                resources:
                  requests: {cpu: 500m, memory: 2Gi}
"""

SCALING = """
apiVersion: ray.io/v1
kind: RayJob
metadata: {generateName: finetune-}
spec:
  entrypoint: torchrun train.py
  runtimeEnvYAML: |
    uv: {packages: [torch==2.9.0]}
  rayClusterSpec:
    enableInTreeAutoscaling: true
    autoscalerOptions: {version: v2}
    headGroupSpec:
      rayStartParams: {num-cpus: "4", resources: '"{\\"head_node\\": 1}"'}
      template: {spec: {containers: [{name: head, resources: {limits: {cpu: 4, memory: 16Gi}}}]}}
    workerGroupSpecs:
      - groupName: gpus
        replicas: 1
        minReplicas: 0
        maxReplicas: 8
        numOfHosts: 1
        rayStartParams: {num-gpus: "2", resources: '{"fast_disk": 1}'}
        template:
          spec:
            containers:
              - name: worker
                resources: {limits: {cpu: 8, memory: 64Gi, nvidia.com/gpu: 2}}
      - groupName: spare
        minReplicas: 0
        maxReplicas: 0
        template: {spec: {containers: [{resources: {limits: {cpu: 1, memory: 1Gi}}}]}}
"""

AS_IT_IS_FOUND = """
apiVersion: ray.io/v1
kind: RayJob
metadata:
  name: serve-batch
  namespace: ml
  uid: 0c4ff1f0-0000-4000-8000-000000000001
  resourceVersion: "12345"
  generation: 2
  creationTimestamp: "2026-01-01T00:00:00Z"
  finalizers: [ray.io/rayjob-finalizer]
  labels: {kueue.x-k8s.io/queue-name: gpu-queue, app: batch}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
spec:
  entrypoint: python /home/ray/samples/batch.py
  entrypointNumCpus: 1
  shutdownAfterJobFinishes: false
  jobId: mine
  clusterSelector: {}
  runtimeEnvYAML: |
    working_dir: "https://example.org/code.zip"
    conda: {dependencies: [pip]}
    pip: requirements.txt
  submitterPodTemplate: {spec: {restartPolicy: Never, containers: [{name: submit, image: rayproject/ray:2.50.0}]}}
  rayClusterSpec:
    rayVersion: "2.50.0"
    autoscalerOptions: {idleTimeoutSeconds: 60}
    gcsFaultToleranceOptions: {redisAddress: redis:6379}
    headGroupSpec:
      serviceType: LoadBalancer
      rayStartParams: {num-cpus: "0", object-store-memory: "1000000000"}
      template:
        metadata: {annotations: {sidecar.istio.io/inject: "false"}}
        spec:
          serviceAccountName: ray
          containers:
            - name: ray-head
              image: registry.example.org/ray:2.50.0
              env: [{name: RAY_LOG_TO_STDERR, value: "1"}]
              resources: {limits: {cpu: 4, memory: 8Gi}, requests: {cpu: 1, memory: 8Gi}}
            - name: fluentbit
              image: fluent/fluent-bit:3
          volumes: [{name: code, configMap: {name: code}}]
    workerGroupSpecs:
      - groupName: workers
        replicas: 2
        numOfHosts: 4
        scaleStrategy: {workersToDelete: [pod-1]}
        template:
          spec:
            nodeSelector: {gpu: h100}
            containers: [{name: w, resources: {limits: {cpu: 1, nvidia.com/gpu: 1, ephemeral-storage: 1Gi}}}]
status: {jobStatus: RUNNING}
"""


def spec_of(text: str, **more: Any) -> dict[str, Any]:
    return spec_of_rayjob(yaml.safe_load(text), **more)


def refused(text: str, **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        spec_of(text, **more)
    return {one.field: one.detail for one in caught.value.errors}


def test_a_job_of_fixed_size_is_taken_over_whole() -> None:
    found = spec_of(PLAIN)
    retries = dict.fromkeys(("user", "user_env", "infrastructure", "capacity"), 2)
    assert found == {
        "name": "nightly-scores",
        "labels": {"team": "risk", "tier": "2"},
        "annotations": {"owner": "risk@example.org"},
        "entrypoint": "python -m scores --day today",
        "runtime_env": {"pip": ["polars==1.9.0", "scikit-learn"], "env_vars": {"OMP_NUM_THREADS": "4"}},
        "metadata": {"ticket": "R-17"},
        "timeouts": {"job": "7200s"},
        "ttl_after_finished": "120s",
        "retries": retries,
        "head": {"cpu": "2", "memory": "8Gi"},
        "workers": [{"name": "small", "cpu": "500m", "memory": "2Gi", "min_replicas": 3, "max_replicas": 3}],
    }
    assert JobSpec.model_validate(found).retries.infrastructure == 2


def test_a_job_that_scales_keeps_its_bounds_gpus_and_custom_resources() -> None:
    spec = JobSpec.model_validate(spec_of(SCALING))
    assert (spec.name, spec.runtime_env.uv, spec.head.resources) == ("finetune", ["torch==2.9.0"], {"head_node": 1.0})
    [gpus] = spec.workers
    assert (gpus.name, gpus.min_replicas, gpus.max_replicas, gpus.gpu) == ("gpus", 0, 8, 2)
    assert gpus.resources == {"fast_disk": 1.0}


def test_each_field_that_cannot_be_honoured_is_named_at_once() -> None:
    head, worker = "spec.rayClusterSpec.headGroupSpec", "spec.rayClusterSpec.workerGroupSpecs[0]"
    pod = f"{head}.template.spec"
    assert set(refused(AS_IT_IS_FOUND)) == {
        "metadata.namespace",
        "metadata.labels.kueue.x-k8s.io/queue-name",
        "spec.entrypointNumCpus",
        "spec.shutdownAfterJobFinishes",
        "spec.jobId",
        "spec.runtimeEnvYAML.working_dir",
        "spec.runtimeEnvYAML.conda",
        "spec.runtimeEnvYAML.pip",
        "spec.submitterPodTemplate",
        "spec.rayClusterSpec.rayVersion",
        "spec.rayClusterSpec.autoscalerOptions.idleTimeoutSeconds",
        "spec.rayClusterSpec.gcsFaultToleranceOptions",
        f"{head}.serviceType",
        f"{head}.rayStartParams.num-cpus",
        f"{head}.rayStartParams.object-store-memory",
        f"{head}.template.metadata.annotations",
        f"{pod}.serviceAccountName",
        f"{pod}.volumes",
        f"{pod}.containers[0].image",
        f"{pod}.containers[0].env",
        f"{pod}.containers[0].resources.requests.cpu",
        f"{pod}.containers[1]",
        f"{worker}.numOfHosts",
        f"{worker}.scaleStrategy",
        f"{worker}.template.spec.nodeSelector",
        f"{worker}.template.spec.containers[0].resources.limits.memory",
        f"{worker}.template.spec.containers[0].resources.limits.ephemeral-storage",
    }


def test_fields_are_passed_over_where_that_is_said() -> None:
    manifest = yaml.safe_load(PLAIN)
    manifest["spec"]["rayClusterSpec"]["rayVersion"] = "2.50.0"
    container = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    container |= {"image": "rayproject/ray:2.50.0", "imagePullPolicy": "Always"}
    with pytest.raises(InvalidRequestError, match="rayVersion"):
        spec_of_rayjob(manifest)
    ignored = ("rayVersion", "image", "imagePullPolicy")
    assert spec_of_rayjob(manifest, ignored=ignored) == spec_of(PLAIN)


def test_code_that_is_brought_takes_the_place_of_the_manifests_own() -> None:
    text = PLAIN.replace("    pip:\n", '    working_dir: "https://example.org/code.zip"\n    pip:\n')
    assert "--working-dir" in refused(text)["spec.runtimeEnvYAML.working_dir"]
    assert spec_of(text, brings_code=True) == spec_of(PLAIN)


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("ray.io/v1", "ray.io/v1alpha1", "apiVersion"),
        ("entrypoint: python -m scores --day today", "entrypoint: ''", "spec.entrypoint"),
        ("HTTPMode", "InteractiveMode", "spec.submissionMode"),
        ("suspend: false", "suspend: true", "spec.suspend"),
        ("suspend: false", "managedBy: kueue.x-k8s.io/multikueue", "spec.managedBy"),
        ("suspend: false", "schedule: '@daily'", "spec.schedule"),
        ("    pip:", "    pip: [", "spec.runtimeEnvYAML"),
        ("  metadata: {ticket: R-17}", "  metadata: R-17", "spec.metadata"),
        ("groupName: small", "groupName: ''", "spec.rayClusterSpec.workerGroupSpecs[0].groupName"),
        ("  metadata: {ticket: R-17}", "  invented: 1", "spec.invented"),
    ],
)
def test_one_wrong_field_is_the_only_one_that_is_told(before: str, after: str, field: str) -> None:
    assert set(refused(PLAIN.replace(before, after))) == {field}


def places(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, one in items:
        yield (*at, key)
        yield from places(one, (*at, key))


@pytest.mark.parametrize("text", [PLAIN, SCALING, AS_IT_IS_FOUND], ids=["plain", "scaling", "as-it-is-found"])
@pytest.mark.parametrize("wrong", ["x", 7, [], {}, [1], True, {"x": [1]}, -1.5])
def test_whatever_is_wrong_in_it_is_refused_and_no_fault(text: str, wrong: object) -> None:
    for *path, last in places(yaml.safe_load(text)):
        manifest = at = yaml.safe_load(text)
        for key in path:
            at = at[key]
        at[last] = wrong
        with suppress(InvalidRequestError):
            checked(spec_of_rayjob(manifest))


def test_other_manifests_are_none() -> None:
    assert is_rayjob(yaml.safe_load(PLAIN))
    assert not is_rayjob({"entrypoint": "true"})
    assert not is_rayjob({"kind": "RayCluster"})
