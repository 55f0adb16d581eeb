"""Which model a candidate is compared with."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver


class LatestBlessedBefore(resolver.ResolverStrategy):
    """The latest blessed model that was made before the candidate, if there is one.

    TFX's LatestBlessedModelStrategy would hand a candidate that was served from the cache to the
    evaluator as its own baseline: another cache key, another evaluation, the same model pushed
    again.

    Used as `Resolver(strategy_class=LatestBlessedBefore, candidate=trainer.outputs["model"],
    model=Channel(type=Model), model_blessing=Channel(type=ModelBlessing))`, whose outputs `model`
    and `model_blessing` hold one artifact each or, on a first run, none.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `model` and `model_blessing`; `candidate` passes through.

        Age is the artifact's id, which ML Metadata counts up.
        """
        (candidate,) = input_dict["candidate"]
        blessings = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in input_dict["model_blessing"]
            if blessing.get_int_custom_property("blessed") == 1
        }
        earlier = [
            model
            for model in input_dict["model"]
            if model.id in blessings and model.id < candidate.id
        ]
        if not earlier:
            return {"candidate": [candidate], "model": [], "model_blessing": []}
        model = max(earlier, key=lambda model: model.id)
        return {
            "candidate": [candidate],
            "model": [model],
            "model_blessing": [blessings[model.id]],
        }
