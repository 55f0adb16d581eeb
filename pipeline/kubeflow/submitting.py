"""Submits a compiled pipeline to Kubeflow Pipelines or to Vertex AI Pipelines."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.rehearsal import driver, spec

_HEALTH = "/apis/v2beta1/healthz"
_SECONDS = 10.0


def to_kubeflow(
    path: str,
    *,
    host: str,
    parameters: Mapping[str, Any],
    root: str | None = None,
    namespace: str | None = None,
    experiment: str | None = None,
    token_file: str | None = None,
) -> str:
    """Starts a run, and returns the page where it is seen.

    Args:
      path: the compiled pipeline.
      host: URL of Kubeflow Pipelines' API.
      parameters: the run's; others have their defaults.
      root: URI for artifacts; default: the cluster's own.
      namespace: of the user, where the installation has several.
      experiment: to put the run into; default: the cluster's own.
      token_file: file with a bearer token.

    Raises:
      ModuleNotFoundError: without the kfp SDK.
      ConnectionError: if nobody answers at `host`, or with a refusal.
      ValueError: for a parameter that the pipeline does not have.
    """
    given = _checked(path, parameters)
    token = Path(token_file).read_text(encoding="utf-8").strip() if token_file else None
    # The SDK would try for half a minute, and say nothing of the reason.
    _check_answers(host, token)
    kfp, api = _sdk()
    client = kfp.Client(host=host, existing_token=token, namespace=namespace or "kubeflow")
    try:
        run = client.create_run_from_pipeline_package(
            path,
            arguments=given,
            pipeline_root=root,
            namespace=namespace,
            experiment_name=experiment,
        )
    except api.ApiException as error:
        reason = " ".join(str(error.body or error.reason).split())
        raise ConnectionError(f"{host}: refused the run: {reason}") from error
    return f"{host.rstrip('/')}/#/runs/details/{run.run_id}"


def to_vertex(
    path: str, *, project: str, location: str, parameters: Mapping[str, Any], root: str
) -> str:
    """Starts a run, and returns its name.

    Args:
      path: the pipeline, compiled for Vertex.
      project, location: of Google Cloud.
      parameters: the run's; others have their defaults.
      root: gs:// URI for artifacts.

    Raises:
      ConnectionError: without credentials.
      ValueError: for a parameter that the pipeline does not have.
    """
    given = _checked(path, parameters)
    from google.auth.exceptions import GoogleAuthError
    from google.cloud import aiplatform

    try:
        job = aiplatform.PipelineJob(
            display_name=spec.read(path).name,
            template_path=path,
            pipeline_root=root,
            parameter_values=given,
            project=project,
            location=location,
        )
        job.submit()
    except GoogleAuthError as error:
        raise ConnectionError(
            f"{project}: no credentials for Google Cloud: {error}; log in with gcloud auth "
            "application-default login"
        ) from error
    return job.resource_name


def _checked(path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters in their types."""
    values = driver.run_parameters(spec.read(path), parameters)
    return {name: values[name] for name in parameters}


def _check_answers(host: str, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(host.rstrip("/") + _HEALTH, headers=headers)
        with urllib.request.urlopen(request, timeout=_SECONDS):
            return
    except urllib.error.HTTPError as error:
        raise ConnectionError(
            f"{host}: answers {error.code} {error.reason}; it has to be the URL of Kubeflow "
            "Pipelines, with --token-file where it asks for one"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ConnectionError(
            f"{host}: no answer ({reason}); a cluster's API is usually reached by kubectl "
            "port-forward -n kubeflow svc/ml-pipeline 8888"
        ) from error


def _sdk() -> tuple[Any, Any]:
    try:
        import kfp
        import kfp_server_api
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("kfp is not installed; install tfx-gan[kubeflow]") from error
    return kfp, kfp_server_api
