"""Which statistics a new span is compared with."""

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver
from tfx.types import artifact_utils


class LatestGoodSpan(resolver.ResolverStrategy):
    """The statistics of the latest earlier span without anomalies, if there is one.

    A refused span is never a reference for the next.

    Used as `Resolver(strategy_class=LatestGoodSpan, examples=example_gen.outputs["examples"],
    statistics=Channel(type=ExampleStatistics), anomalies=Channel(type=ExampleAnomalies))`, whose
    output `statistics` holds one artifact or none.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Resolves `statistics`, and the `anomalies` that bless them; `examples` pass through.

        The span is read from DataValidator's artifact, because StatisticsGen looks for a different
        property than ExampleGen sets.
        """
        (examples,) = input_dict["examples"]
        good = {
            anomalies.get_int_custom_property("statistics_id"): anomalies
            for anomalies in input_dict["anomalies"]
            if _is_good(anomalies) and anomalies.span < examples.get_int_custom_property("span")
        }
        earlier = [statistics for statistics in input_dict["statistics"] if statistics.id in good]
        latest = sorted(earlier, key=lambda found: (good[found.id].span, found.id))[-1:]
        return {
            "examples": [examples],
            "statistics": latest,
            "anomalies": [good[statistics.id] for statistics in latest],
        }


def _is_good(anomalies: types.Artifact) -> bool:
    blessed = anomalies.get_json_value_custom_property("blessed") or {}
    splits = artifact_utils.decode_split_names(anomalies.split_names)
    return all(blessed.get(split) == 1 for split in splits)
