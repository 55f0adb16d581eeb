"""Objects of the Kubernetes API, with the rights of a pod's service account."""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.config import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader

from pipeline.kubeflow.jobs import Manifest

# What Kubernetes puts into each pod: token, ca.crt and namespace.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# 0, 1, 2, 4, … seconds apart, at most two minutes: about ten minutes, as long as the upgrade of a
# control plane takes.
_RETRIES = urllib3.Retry(
    total=12,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
)
_SECONDS_TO_ANSWER = 30
# Pods first, then their job.
_DELETION = client.V1DeleteOptions(propagation_policy="Foreground")


class JobError(RuntimeError):
    """A job cannot be started or has failed; the message is one line."""


class Cluster:
    """The cluster that this pod runs in. A call is repeated while the API does not answer.

    Args:
      environ: the pod's variables.
      account: folder of the service account.
      seconds: between two looks at an object that is waited for.

    Raises:
      JobError: outside a cluster; from its methods, if the service account lacks a permission, the
        cluster refuses an object or does not know its kind, or the API does not answer for about
        ten minutes.
    """

    def __init__(self, environ: Mapping[str, str], account: Path = ACCOUNT, seconds: float = 10.0):
        configuration = client.Configuration()
        loader = InClusterConfigLoader(
            token_filename=str(account / "token"),
            cert_filename=str(account / "ca.crt"),
            environ=environ,
        )
        try:
            loader.load_and_set(configuration)
        except ConfigException as error:
            raise JobError(
                f"{account}: {error} Several workers are started from a pod of the cluster only"
            ) from error
        configuration.retries = _RETRIES
        connection = client.ApiClient(configuration)
        # From 3.13 on, Python insists on what the certificates of many clusters lack (an authority
        # key identifier), and this release of the client has no option for it.
        context = urllib3.util.ssl_.create_urllib3_context()
        context.load_verify_locations(configuration.ssl_ca_cert)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        connection.rest_client.pool_manager.connection_pool_kw["ssl_context"] = context
        self._api = client.CustomObjectsApi(connection)
        self.namespace = (account / "namespace").read_text(encoding="utf-8").strip()
        self.seconds = seconds

    def get(self, manifest: Manifest) -> Manifest | None:
        """The object that a manifest describes, as it is now; None if it is not there."""
        return self._call("get", self._api.get_namespaced_custom_object, manifest, named=True)

    def create(self, manifest: Manifest) -> None:
        """Creates the object, unless it is there already."""
        create = self._api.create_namespaced_custom_object
        if self._call("create", create, manifest, body=manifest) is None:
            raise JobError(
                f"{manifest['kind']}: the cluster does not know {manifest['apiVersion']}; install "
                "it, or compile with another --job"
            )

    def delete(self, manifest: Manifest) -> None:
        """Deletes the object and what belongs to it, and returns when all is gone."""
        delete = self._api.delete_namespaced_custom_object
        self._call("delete", delete, manifest, named=True, body=_DELETION)
        while self.get(manifest) is not None:
            time.sleep(self.seconds)

    def _call(
        self,
        verb: str,
        method: Callable[..., Manifest],
        manifest: Manifest,
        *,
        named: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> Manifest | None:
        """The answer; None for what is not found, and {} for what exists already."""
        group, version = manifest["apiVersion"].split("/")
        plural = f"{manifest['kind'].lower()}s"
        if named:
            options["name"] = manifest["metadata"]["name"]
        try:
            return method(
                group=group,
                version=version,
                namespace=self.namespace,
                plural=plural,
                _request_timeout=_SECONDS_TO_ANSWER,
                **options,
            )
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            if error.status == HTTPStatus.CONFLICT:
                return {}
            what = f"{verb} {plural}.{group} in {self.namespace}"
            said = _message(error)
            # Webhooks and quotas forbid too, in other words than the role of an account does.
            forbidden = error.status == HTTPStatus.FORBIDDEN and " cannot " in said
            if forbidden or error.status == HTTPStatus.UNAUTHORIZED:
                raise JobError(
                    f"the pod's service account may not {what} ({said}); give it the role of "
                    'docs/kubeflow.md, "Several workers"'
                ) from error
            raise JobError(f"the cluster does not {what}: {said}") from error
        except urllib3.exceptions.HTTPError as error:
            raise JobError(f"the Kubernetes API does not answer: {error}") from error


def _message(error: client.ApiException) -> str:
    """What the API says, in one line."""
    try:
        said = json.loads(error.body)["message"]
    except (KeyError, TypeError, ValueError):
        said = error.body or error.reason
    return " ".join(str(said).split())
