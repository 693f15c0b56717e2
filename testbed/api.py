"""The API of a cluster, as far as a test bed needs it; only the standard library."""

import base64
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from testbed.errors import TestbedError

_SECONDS = 30.0


class Api:
    """Requests to an API server, by a kubeconfig that this test bed wrote."""

    def __init__(self, kubeconfig: Path) -> None:
        """Read the first cluster and the first user of a kubeconfig, which must be JSON."""
        known = json.loads(kubeconfig.read_text())
        cluster = known["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.url: str = cluster["server"]
        self._token: str = known["users"][0]["user"]["token"]
        self._tls = ssl.create_default_context(cadata=authority)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """GET; the decoded JSON.

        Raises:
            urllib.error.HTTPError: it answered with another status.
            OSError: it could not be reached.
        """
        return json.loads(self.call("GET", path))

    def post(self, path: str, value: object) -> Any:  # noqa: ANN401 - JSON
        """POST JSON, such as to create an object."""
        return json.loads(self.call("POST", path, json.dumps(value).encode(), "application/json"))

    def delete(self, path: str) -> None:
        """DELETE, with all that the object owns gone before the object (foreground)."""
        options = json.dumps({"propagationPolicy": "Foreground"}).encode()
        self.call("DELETE", path, options, "application/json")

    def apply(self, path: str, manifest: bytes) -> None:
        """Server-side apply a YAML or JSON manifest.

        Raises:
            TestbedError: it was refused; with what the server said.
        """
        try:
            self.call("PATCH", f"{path}?fieldManager=testbed&force=true", manifest, "application/apply-patch+yaml")
        except urllib.error.HTTPError as error:
            msg = f"{path} was refused: {error.read().decode(errors='replace')[:500]}"
            raise TestbedError(msg) from error

    def call(self, method: str, path: str, body: bytes | None = None, content: str = "") -> bytes:
        """Any request; the body of its reply."""
        headers = {"Authorization": f"Bearer {self._token}", **({"Content-Type": content} if content else {})}
        request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310 - always https
        with urllib.request.urlopen(request, timeout=_SECONDS, context=self._tls) as reply:  # noqa: S310
            data: bytes = reply.read()
        return data

    def answers(self, path: str = "/readyz") -> bool:
        """Whether a GET succeeds now."""
        try:
            self.call("GET", path)
        except OSError:  # URLError and HTTPError are its kinds
            return False
        return True
