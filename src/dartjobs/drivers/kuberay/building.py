"""Creates and deletes an attempt's objects, each act one that may be repeated."""

from collections.abc import Mapping
from typing import Any

from dartjobs.drivers.base import FinalDriverError, Launch, TemporaryDriverError
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.client import Client, ForbiddenError, NotThereError, TakenError, is_about_quota
from dartjobs.drivers.kuberay.manifests import manifests, sample
from dartjobs.drivers.kuberay.names import Kind, Manifest
from dartjobs.drivers.kuberay.profiles import Profile, choose_profile
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from dartjobs.drivers.kuberay.shapes import Pod, Thing
from dartjobs.drivers.runner import RUNNER
from dartjobs.models.spec import DEFAULT_PROFILE


class Builder:
    """Of one installation in one namespace."""

    def __init__(
        self,
        client: Client,
        settings: KubeRaySettings,
        profiles: Mapping[str, Profile],
        *,
        installation: str,
        secret: bytes,
    ) -> None:
        self._client, self._settings, self._profiles = client, settings, profiles
        self._installation, self._secret = installation, secret
        self._namespace = settings.namespace
        self._runner = RUNNER.read_text(encoding="utf-8")

    def manifests(self, launch: Launch) -> list[Manifest]:
        """Everything that is created for an attempt, in this order.

        Raises:
            FinalDriverError: it cannot be, as the job asks for it.
        """
        return manifests(
            launch,
            self._settings,
            choose_profile(self._profiles, launch.spec.profile),
            installation=self._installation,
            ray_token=names.ray_token(self._secret, self._installation, launch.attempt.id),
            runner=self._runner,
        )

    async def check(self) -> None:
        """See that the API server would take a RayCluster of ours, whole: an older CRD does not know all fields.

        Raises:
            TemporaryDriverError: it would not; says why. No job can run here until that is mended.
        """
        kind, body = sample(self._settings, self._profiles[DEFAULT_PROFILE], self._installation)
        try:
            await self._client.create(kind, self._namespace, body, dry_run=True)
        except NotThereError as error:
            msg = f"RayClusters cannot be made in {self._namespace}: {error}. Is KubeRay installed?"
            raise TemporaryDriverError(msg) from error
        except FinalDriverError as error:
            msg = f"KubeRay's RayCluster is not as this driver needs it (KubeRay 1.6 or later will do): {error}"
            raise TemporaryDriverError(msg) from error
        except ForbiddenError as error:
            if not is_about_quota(error):
                raise

    async def create(self, launch: Launch) -> None:
        """Create every object, or adopt what an earlier call made.

        Raises:
            FinalDriverError: one was refused for good, or its name is another's.
        """
        for manifest in self.manifests(launch):
            await self._create(manifest, launch.attempt.id)

    async def pods(self, attempt_id: str) -> list[Pod]:
        """The attempt's, as the API server has them now."""
        path = names.PODS.path(self._namespace)
        found: list[Pod] = (await self._client.list(path, Pod, self._selector(attempt_id))).items
        return found

    async def is_anything_left(self, attempt_id: str) -> bool:
        """Whether anything of the attempt is there, by the API server itself.

        A Secret and the guards are removed before the ConfigMap, and that only when all others are gone.
        """
        for kind in (names.CONFIG_MAPS, names.RAY_CLUSTERS):
            if await self._mine(kind, attempt_id) is not None:
                return True
        return bool(await self.pods(attempt_id))

    async def delete(self, attempt_id: str, cluster_uid: str | None) -> None:
        """The RayCluster and what belongs to it; when that is gone, the Secret, the guards, the ConfigMap."""
        found = await self._mine(names.RAY_CLUSTERS, attempt_id)
        if cluster_uid is not None and (found is None or found.metadata.uid != cluster_uid):
            return
        if found is not None:
            if found.metadata.deletion_timestamp is None:
                await self._client.delete(
                    names.RAY_CLUSTERS, self._namespace, found.metadata.name, uid=found.metadata.uid, foreground=True
                )
            return
        if await self.pods(attempt_id) or await self._services(attempt_id):
            return
        if await self._mine(names.CONFIG_MAPS, attempt_id) is not None:
            await self._delete_guards(names.cluster_name(attempt_id))

    async def _delete_guards(self, name: str) -> None:
        kinds = [names.SECRETS, names.NETWORK_POLICIES]
        if self._settings.security_groups:
            kinds.insert(1, names.SECURITY_GROUP_POLICIES)
        for kind in kinds:
            # that a second DELETE finds nothing is the proof; a finalizer may hold it for a while
            if await self._client.delete(kind, self._namespace, name) and await self._client.delete(
                kind, self._namespace, name
            ):
                return
        await self._client.delete(names.CONFIG_MAPS, self._namespace, name)

    async def _create(self, manifest: Manifest, attempt_id: str) -> None:
        kind, body = manifest
        try:
            await self._client.create(kind, self._namespace, body)
        except TakenError:
            await self._adopt(kind, attempt_id)
        except ForbiddenError:
            # a create that is tried again can be refused for its quota by the very object that it made
            if kind == names.SECRETS or await self._mine(kind, attempt_id) is None:
                raise

    async def _adopt(self, kind: Kind, attempt_id: str) -> None:
        """See that what has the name is ours. A Secret may not be read: only who has the secret could have named it."""
        if kind == names.SECRETS:
            return
        found = await self._mine(kind, attempt_id)
        if found is not None and found.metadata.deletion_timestamp is not None:
            msg = f"{kind.plural} {found.metadata.name} is being deleted"
            raise TemporaryDriverError(msg)

    async def _mine(self, kind: Kind, attempt_id: str) -> Thing | None:
        """The attempt's object of a kind; None if there is none.

        Raises:
            FinalDriverError: somebody else's has its name.
        """
        name = names.cluster_name(attempt_id)
        found = await self._client.get(kind, self._namespace, name, Thing)
        labels: dict[str, Any] = (found.metadata.labels or {}) if found is not None else {}
        if found is not None and (
            labels.get(names.INSTALLATION) != self._installation or found.metadata.attempt_id != attempt_id
        ):
            msg = f"{kind.plural} {name} exists in {self._namespace}, and is not of this installation"
            raise FinalDriverError(msg)
        return found

    async def _services(self, attempt_id: str) -> list[Thing]:
        path, selector = names.SERVICES.path(self._namespace), f"{names.RAY_CLUSTER}={names.cluster_name(attempt_id)}"
        found: list[Thing] = (await self._client.list(path, Thing, selector)).items
        return found

    def _selector(self, attempt_id: str) -> str:
        return f"{names.INSTALLATION}={self._installation},{names.ATTEMPT}={attempt_id}"
