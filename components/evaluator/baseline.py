"""Which models a candidate is compared with."""

import math
from collections.abc import Collection, Iterable

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver


class BlessedBefore(resolver.ResolverStrategy):
    """The latest and the best blessed model that were made before the candidate, if there are any.

    The best one has the lowest FID under the candidate's extractor. Without it, a candidate that
    may be a little worse than the last blessed model could be so again and again.

    TFX's LatestBlessedModelStrategy would hand a candidate that was served from the cache to the
    evaluator as its own baseline: another cache key, another evaluation, the same model pushed
    again.

    Used as `Resolver(strategy_class=BlessedBefore, candidate=trainer.outputs["model"],
    extractor=feature_extractor.outputs["extractor"], model=Channel(type=Model),
    best=Channel(type=Model), model_blessing=Channel(type=ModelBlessing))`, whose outputs `model`,
    `model_blessing` (of `model`) and `best` hold one artifact each or, on a first run, none.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `model`, `model_blessing` and `best`; `candidate` and `extractor` pass through.

        Age is the artifact's id, which ML Metadata counts up. `best` is the same artifact as
        `model` where that one is the best, and empty if no blessed model was scored with the
        extractor.
        """
        (candidate,), (extractor,) = input_dict["candidate"], input_dict["extractor"]
        blessings = [
            blessing
            for blessing in input_dict["model_blessing"]
            if blessing.get_int_custom_property("blessed") == 1
        ]
        of_model = {_model_id(blessing): blessing for blessing in blessings}
        earlier = {
            model.id: model
            for model in input_dict["model"]
            if model.id in of_model and model.id < candidate.id
        }
        latest = [max(earlier)] if earlier else []
        extractor_id = extractor.get_string_custom_property("id")
        best = _best(blessings, extractor_id, earlier)
        return {
            "candidate": [candidate],
            "extractor": [extractor],
            "model": [earlier[model_id] for model_id in latest],
            "model_blessing": [of_model[model_id] for model_id in latest],
            "best": [] if best is None else [earlier[best]],
        }


def _best(
    blessings: Iterable[types.Artifact], extractor_id: str, models: Collection[int]
) -> int | None:
    """Of the models, the one of the lowest FID, the latest of equals; None if there is no FID."""
    found = [
        (blessing.get_float_custom_property("fid"), -_model_id(blessing))
        for blessing in blessings
        if _model_id(blessing) in models
        and blessing.has_custom_property("fid")
        and blessing.get_string_custom_property("extractor_id") == extractor_id
    ]
    known = [(fid, minus_id) for fid, minus_id in found if not math.isnan(fid)]
    return -min(known)[1] if known else None


def _model_id(blessing: types.Artifact) -> int:
    return blessing.get_int_custom_property("current_model_id")
