"""The driver against an API server that misbehaves as real ones do, but not when they are asked to."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from dartjobs.core.queueing import Capacity, Resources
from dartjobs.core.world import UNREACHABLE, Observation
from dartjobs.drivers.base import FinalDriverError, HeadChangedError, Launch, Submission, TemporaryDriverError
from dartjobs.drivers.kuberay.credentials import credentials
from dartjobs.drivers.kuberay.driver import KubeRayDriver
from dartjobs.drivers.kuberay.profiles import Profile
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from dartjobs.models.job import Attempt, SubmitIntent
from dartjobs.models.spec import JobSpec
from dartjobs.models.state import ResourceState
from tests.conformance.driver import new_attempt
from tests.fakes.kube import FakeKube, Object, status
from tests.fakes.polling import eventually, until

SPEC = JobSpec(entrypoint="true")
RAY = "/apis/ray.io/v1/namespaces/jobs/rayclusters"
PODS = "/api/v1/namespaces/jobs/pods"
SECRETS = "/api/v1/namespaces/jobs/secrets"
CONFIG_MAPS = "/api/v1/namespaces/jobs/configmaps"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/jobs/networkpolicies"


@pytest.fixture
def kube() -> Iterator[FakeKube]:
    with FakeKube() as fake:
        yield fake


@pytest.fixture
async def driver(kube: FakeKube, tmp_path: Path) -> AsyncIterator[KubeRayDriver]:
    settings = KubeRaySettings(kubeconfig=kube.kubeconfig(tmp_path / "kubeconfig"), namespace="jobs")
    found = credentials(settings.kubeconfig, None)
    one = KubeRayDriver(
        settings, found, {"default": Profile()}, installation="home", secret=b"secret", clock=lambda: 0.0
    )
    yield one
    await one.close()


async def in_cluster(driver: KubeRayDriver) -> Attempt:
    attempt = new_attempt()
    await driver.create(Launch(attempt, SPEC, "token", "http://gateway"))
    await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda seen: seen.cluster_uid)
    return attempt


def labels(attempt: Attempt) -> dict[str, str]:
    return {"dartjobs.io/installation": "home", "dartjobs.io/attempt": attempt.id}


def head(attempt: Attempt, **metadata: str) -> Object:
    return {
        "metadata": {"labels": labels(attempt) | {"ray.io/node-type": "head"}, **metadata},
        "status": {"phase": "Running"},
    }


def removed(kube: FakeKube) -> list[str]:
    return [path for method, path in kube.asked if method == "DELETE"]


async def test_every_object_is_there_and_is_adopted_the_second_time(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    await driver.create(Launch(attempt, SPEC, "token", "http://gateway"))
    held = [path for path in kube.objects if path.endswith(attempt.id)]
    assert held == [f"{kind}/{attempt.id}" for kind in (CONFIG_MAPS, POLICIES, SECRETS, RAY)]
    assert ("GET", f"{SECRETS}/{attempt.id}") not in kube.asked


async def test_a_profile_that_the_cluster_has_not_is_refused_by_name(driver: KubeRayDriver, kube: FakeKube) -> None:
    wrong = JobSpec(entrypoint="true", profile="gpu")
    with pytest.raises(FinalDriverError, match="no profile 'gpu'; it has: default"):
        await driver.create(Launch(new_attempt(), wrong, "token", "http://gateway"))
    assert kube.bodies == []


async def test_an_object_of_somebody_else_is_never_adopted(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = new_attempt()
    kube.put(f"{RAY}/{attempt.id}", {"metadata": {"labels": {"dartjobs.io/installation": "another"}}})
    with pytest.raises(FinalDriverError, match="not of this installation"):
        await driver.create(Launch(attempt, SPEC, "token", "http://gateway"))
    with pytest.raises(FinalDriverError, match="not of this installation"):
        await driver.delete(attempt)
    assert f"{RAY}/{attempt.id}" in kube.objects


async def test_a_token_that_was_rotated_is_read_anew(driver: KubeRayDriver, kube: FakeKube, tmp_path: Path) -> None:
    assert await driver.identity() == "this-very-cluster"
    kube.token = "second-token"
    with pytest.raises(TemporaryDriverError, match="401"):
        await driver.identity()
    kube.kubeconfig(tmp_path / "kubeconfig")
    assert await driver.identity() == "this-very-cluster"
    await in_cluster(driver)


async def test_a_pause_that_the_api_server_asks_for_is_kept(driver: KubeRayDriver, kube: FakeKube) -> None:
    path = "/api/v1/namespaces/kube-system"
    kube.answers["GET", path] = [lambda: status(429, "slow down", retry_after="30")]
    with pytest.raises(TemporaryDriverError, match="slow down"):
        await driver.identity()
    with pytest.raises(TemporaryDriverError, match="asked for a pause"):
        await driver.identity()
    assert kube.asked.count(("GET", path)) == 1


@pytest.mark.parametrize("code", [500, 503, 504])
async def test_a_server_error_is_worth_another_try(driver: KubeRayDriver, kube: FakeKube, code: int) -> None:
    kube.answers["POST", RAY] = [lambda: status(code, "webhook timed out")]
    with pytest.raises(TemporaryDriverError, match="webhook timed out"):
        await driver.create(Launch(new_attempt(), SPEC, "token", "http://gateway"))


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_a_webhooks_no_is_final_in_its_own_words(driver: KubeRayDriver, kube: FakeKube, code: int) -> None:
    words = 'admission webhook "policy" denied the request: no jobs on Fridays'
    kube.answers["POST", RAY] = [lambda: status(code, words)]
    with pytest.raises(FinalDriverError, match="no jobs on Fridays"):
        await driver.create(Launch(new_attempt(), SPEC, "token", "http://gateway"))


async def test_a_refused_quota_is_no_refusal_where_the_object_exists(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    words = 'rayclusters.ray.io "x" is forbidden: exceeded quota: few'
    kube.answers["POST", RAY] = [lambda: status(403, words)] * 2
    await driver.create(Launch(attempt, SPEC, "token", "http://gateway"))
    with pytest.raises(TemporaryDriverError, match="exceeded quota"):
        await driver.create(Launch(new_attempt(), SPEC, "token", "http://gateway"))


async def test_expired_history_is_listed_again_with_a_full_difference(driver: KubeRayDriver, kube: FakeKube) -> None:
    kube.expired = True
    attempt = await in_cluster(driver)
    kube.put(f"{PODS}/head", head(attempt, uid="head-1"))
    seen = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.head_uid)
    assert seen.head_uid == "head-1"


async def test_what_went_while_nobody_watched_is_gone(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    kube.put(f"{PODS}/head", head(attempt, uid="head-1"))
    await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.head_uid)
    kube.kill()
    await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one == UNREACHABLE)
    with pytest.raises(TemporaryDriverError):
        await driver.inventory()
    del kube.objects[f"{PODS}/head"]
    kube.restart()
    seen = await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.reachable)
    assert (seen.head_uid, seen.leftovers) == (None, True)


async def test_a_cluster_has_what_its_nodes_have(driver: KubeRayDriver, kube: FakeKube) -> None:
    assert await driver.capacity() == Capacity(Resources(Decimal("3.9"), 8 * 2**30))
    assert [path for path in kube.objects if path.startswith(RAY)] == []


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        (400, 'strict decoding error: unknown field "spec.authOptions.secretName"', "authOptions.secretName"),
        (404, "the server could not find the requested resource", "Is KubeRay installed"),
        (403, "rayclusters.ray.io is forbidden: User cannot create", "cannot create"),
    ],
)
async def test_a_cluster_that_would_not_take_our_ray_clusters_has_no_room(
    driver: KubeRayDriver, kube: FakeKube, code: int, words: str, told: str
) -> None:
    kube.answers["POST", RAY] = [lambda: status(code, words)]
    with pytest.raises(TemporaryDriverError, match=told):
        await driver.capacity()
    kube.answers["POST", RAY] = [lambda: status(403, "forbidden: exceeded quota: few")]
    assert (await driver.capacity()).total.cpu > 0


async def test_a_missing_crd_is_told(driver: KubeRayDriver, kube: FakeKube) -> None:
    kube.answers["GET", RAY] = [lambda: status(404, "the server could not find the requested resource")] * 20
    with pytest.raises(TemporaryDriverError, match="is its CRD installed"):
        await driver.inventory()


async def test_a_ray_cluster_goes_first_and_its_guards_last(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    kube.put(f"{PODS}/head", head(attempt, uid="head-1"))
    await driver.delete(attempt, cluster_uid="another")
    assert removed(kube) == []
    await driver.delete(attempt)
    assert removed(kube) == [f"{RAY}/{attempt.id}"]
    assert kube.bodies[-1]["propagationPolicy"] == "Foreground"
    assert kube.bodies[-1]["preconditions"]["uid"]
    await driver.delete(attempt)
    assert removed(kube) == [f"{RAY}/{attempt.id}"]
    kube.remove(f"{PODS}/head")
    await driver.delete(attempt)
    assert [path for path in kube.objects if path.endswith(attempt.id)] == []
    assert removed(kube)[-1] == f"{CONFIG_MAPS}/{attempt.id}"
    assert kube.bodies[-1]["propagationPolicy"] == "Background"
    await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda seen: seen == Observation())
    assert await driver.inventory() == []


async def test_an_end_is_not_believed_of_a_watch_alone(driver: KubeRayDriver, kube: FakeKube) -> None:
    ending = new_attempt().model_copy(update={"resource_state": ResourceState.TERMINATING})
    assert await driver.observe(ending, ask_ray=False) == Observation()
    # it came without any watch being told, as one does that is behind
    kube.objects[f"{CONFIG_MAPS}/{ending.id}"] = {"metadata": {"name": ending.id, "labels": labels(ending)}}
    assert (await driver.observe(ending, ask_ray=False)).leftovers


async def test_only_the_head_of_the_intent_is_killed(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    kube.put(f"{PODS}/head", head(attempt, uid="head-1"))

    def meant(head_uid: str) -> Submission:
        intent = SubmitIntent(submission_id="one", cluster_uid="c", head_uid=head_uid, at=attempt.created_at)
        return Submission(attempt.model_copy(update={"submit_intent": intent}), SPEC, "team", intent)

    await driver.kill_head(meant("another").attempt)
    assert removed(kube) == []
    with pytest.raises(HeadChangedError):
        await driver.submit(meant("another"))
    await driver.kill_head(meant("head-1").attempt)
    assert removed(kube) == [f"{PODS}/head"]


async def test_what_the_api_server_says_itself_is_no_word_of_the_head(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    kube.put(f"{PODS}/head", head(attempt, uid="head-1"))
    at = attempt.created_at
    intent = SubmitIntent(submission_id="sent", cluster_uid="c", head_uid="head-1", at=at)
    submitted = attempt.model_copy(update={"submit_intent": intent})
    await eventually(lambda: driver.observe(attempt, ask_ray=False), lambda one: one.head_uid)
    seen = await driver.observe(submitted, ask_ray=True)
    assert (seen.ray_job, seen.head_answers) == (None, False)


async def test_many_looks_ask_the_api_server_nothing(driver: KubeRayDriver, kube: FakeKube) -> None:
    attempt = await in_cluster(driver)
    listed_and_watched = [("GET", path) for path in (RAY, PODS, CONFIG_MAPS)]
    await asyncio.to_thread(until, lambda: all(kube.asked.count(one) == 2 for one in listed_and_watched))
    before = len(kube.asked)
    await asyncio.gather(*(driver.observe(attempt, ask_ray=False) for _ in range(50)))
    await driver.inventory()
    assert len(kube.asked) == before
