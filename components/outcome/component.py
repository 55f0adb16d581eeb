"""The stage Verdict and the exit handler, which only a cluster needs."""

import json
import logging
import os
from typing import TypedDict

from tfx.dsl.component.experimental.annotations import InputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, ModelBlessing, PushedModel

from components.outcome import record

_log = logging.getLogger(__name__)


class Outcome(TypedDict):
    """The output of ExitHandler.

    Attributes:
      outcome: one line: blessed, refused or failed, and why.
    """

    outcome: str


@component
def Verdict(
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    pushed_model: InputArtifact[PushedModel],
    folder: Parameter[str],
    run: Parameter[str],
) -> None:
    """Notes the verdict of this run for ExitHandler; the stages that found it may be cached.

    Args:
      model_blessing: from GANEvaluator.
      infra_blessing: from InfraValidator.
      pushed_model: from Pusher.
      folder: of all runs' records.
      run: the run's id.
    """
    reasons = [
        blessing.get_string_custom_property("reasons")
        for blessing in (model_blessing, infra_blessing)
        if not blessing.get_int_custom_property("blessed")
    ]
    pushed = pushed_model.get_string_custom_property("pushed_destination")
    record.note_verdict(os.path.join(folder, run), "; ".join(reasons), pushed)


@component
def ExitHandler(
    folder: Parameter[str], run: Parameter[str], name: Parameter[str], status: Parameter[str] = "{}"
) -> Outcome:
    """Says how the run ended, whether or not all stages succeeded.

    Args:
      folder: of all runs' records.
      run: the run's id.
      name: the recipe's.
      status: JSON of the PipelineTaskFinalStatus of all other stages, where it names an error.
    """
    error = json.loads(status).get("error", {}).get("message", "")
    outcome = f"{name}: {record.in_words(os.path.join(folder, run), error)}"
    _log.info(outcome)
    return {"outcome": outcome}
