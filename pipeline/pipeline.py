"""The DAG: which stage feeds which."""

import os
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.placeholder.placeholder import Placeholder
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2

from components.common import files
from components.common.code_version import code_version
from components.converter.component import Converter
from components.data_validator import statistics as data_statistics
from components.data_validator.component import (
    DataValidator,
    ImportSchemaGen,
    LatestGoodSpan,
    SchemaGen,
)
from components.evaluator.component import GANEvaluator, LatestBlessed
from components.example_gen.component import FindData, ImageExampleGen
from components.example_gen.config import DataConfig
from components.feature_extractor.component import FeatureExtractor, extractor_version
from components.infra_validator.component import InfraValidator
from components.outcome.component import Verdict
from components.pusher.component import Pusher
from components.trainer.component import GANTrainer, trainer_version
from components.tuner.component import GANTuner, tuner_version
from pipeline.config import Recipe

# Its workers run on this machine in this Python environment.
_LOCAL_RUNNER = "FnApiRunner"


def beam_arguments(given: Sequence[str]) -> list[str]:
    """The recipe's `beam`, as passed to the stages.

    Unless a container image is named, TFX packages itself for remote workers at the start of each
    stage, which takes seconds and leaves 42 MB in the temporary folder. The local runner ignores
    images, so naming one turns this off.
    """
    runner = PipelineOptions(list(given)).view_as(StandardOptions).runner
    return [*given, *(["--sdk_container_image=none"] if runner == _LOCAL_RUNNER else [])]


def data_stages(config: DataConfig, sample: int = 0) -> tuple[BaseComponent, ...]:
    """FindData, ImageExampleGen and StatisticsGen.

    Args:
      config: the recipe's section `data`.
      sample: how many of the records are read, spread over all; 0, as in every run, for all.
    """
    find_data = FindData(
        config=config.model_dump_json(by_alias=True, exclude={"schema_path", "mirror"})
    )
    found = {name: output_value(find_data, name) for name in find_data.outputs}
    example_gen = ImageExampleGen(
        config=config.for_reading(),
        code_version=code_version("example_gen"),
        **({"sample": sample} if sample else {}),
        **found,
    )
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], stats_options=data_statistics.options()
    )
    return find_data, example_gen, statistics_gen


def output_value(component: BaseComponent, name: str) -> Placeholder:
    """An output of a component as another's parameter."""
    return component.outputs[name].future()[0].value


def validation_stages(
    recipe: Recipe,
    find_data: BaseComponent,
    example_gen: BaseComponent,
    statistics_gen: BaseComponent,
    state: str,
) -> tuple[BaseComponent, ...]:
    """The stages that validate data: the source of the schema, LatestGoodSpan and DataValidator.

    Args:
      recipe: the resolved recipe.
      find_data, example_gen, statistics_gen: from `data_stages`.
      state: as of `create_pipeline`.

    Raises:
      FileNotFoundError, ValueError: for a file of a schema that cannot be read.
    """
    statistics = statistics_gen.outputs["statistics"]
    version = code_version("data_validator")
    if recipe.data.schema_path:
        text = files.read(recipe.data.schema_path).decode()
        schema_gen = ImportSchemaGen(text=text, code_version=version)
    else:
        schema_gen = SchemaGen(
            statistics=statistics, data=recipe.data.spec.model_dump_json(), code_version=version
        )
    folder = os.path.join(state, "good_spans", recipe.name)
    good_span = LatestGoodSpan(folder=folder, span=output_value(find_data, "span"))
    data_validator = DataValidator(
        examples=example_gen.outputs["examples"],
        statistics=statistics,
        schema=schema_gen.outputs["schema"],
        config=recipe.validation.model_dump_json(),
        good_spans_folder=folder,
        previous=output_value(good_span, "previous"),
        code_version=version,
    )
    return schema_gen, good_span, data_validator


def tuner_stage(
    recipe: Recipe,
    example_gen: BaseComponent,
    data_validator: BaseComponent,
    extractor: BaseComponent,
    state: str,
) -> BaseComponent:
    """GANTuner of a recipe with a section `tuner`; the other arguments as of `create_pipeline`."""
    assert recipe.tuner
    return GANTuner(
        examples=example_gen.outputs["examples"],
        anomalies=data_validator.outputs["anomalies"],
        extractor=extractor.outputs["extractor"],
        config=recipe.tuner.model_dump_json(),
        trainer=recipe.trainer.model_dump_json(),
        data=recipe.data.spec.model_dump_json(),
        searches_dir=os.path.join(state, "tuning"),
        code_version=tuner_version(recipe.trainer),
        **({"mirror": 1} if recipe.data.mirror else {}),
    )


def outcomes_folder(recipe: Recipe, state: str) -> str:
    """Where an exit handler finds what became of each run; `state` as of `create_pipeline`."""
    return os.path.join(state, "outcomes", recipe.name)


def _extractor(
    recipe: Recipe, example_gen: BaseComponent, data_validator: BaseComponent
) -> BaseComponent:
    return FeatureExtractor(
        examples=example_gen.outputs["examples"],
        anomalies=data_validator.outputs["anomalies"],
        config=recipe.feature_extractor.model_dump_json(),
        data=recipe.data.spec.model_dump_json(),
        data_name=recipe.name,
        code_version=extractor_version(recipe.feature_extractor),
    )


def create_search(recipe: Recipe, *, artifacts: str, state: str, **options: object) -> Pipeline:
    """The stages up to GANTuner, and no further; arguments as of `create_pipeline`."""
    find_data, example_gen, statistics_gen = data_stages(recipe.data)
    validation = validation_stages(recipe, find_data, example_gen, statistics_gen, state)
    extractor = _extractor(recipe, example_gen, validation[-1])
    return Pipeline(
        pipeline_name=recipe.name,
        pipeline_root=artifacts,
        components=[
            find_data,
            example_gen,
            statistics_gen,
            *validation,
            extractor,
            tuner_stage(recipe, example_gen, validation[-1], extractor, state),
        ],
        beam_pipeline_args=beam_arguments(recipe.beam),
        **options,
    )


def create_pipeline(
    recipe: Recipe, *, artifacts: str, state: str, run: str | None = None, **options: object
) -> Pipeline:
    """The DAG of a recipe, for any runner.

    Args:
      recipe: the resolved recipe.
      artifacts: path or URI for what stages hand on to each other.
      state: path or URI for what outlives runs: checkpoints, statistics of good spans, scores of
        real data and, by default, pushed models.
      run: the run's id, for the stage Verdict, without which an exit handler would not know the
        verdict; by default there is no such stage.
      **options: further arguments of `tfx.orchestration.pipeline.Pipeline`.
    """
    find_data, example_gen, statistics_gen = data_stages(recipe.data)
    examples = example_gen.outputs["examples"]
    schema_gen, good_span, data_validator = validation_stages(
        recipe, find_data, example_gen, statistics_gen, state
    )
    anomalies = data_validator.outputs["anomalies"]

    data = recipe.data.spec.model_dump_json()
    extractor = _extractor(recipe, example_gen, data_validator)
    tuners: list[BaseComponent] = []
    tuned = {}
    if recipe.tuner:
        tuners = [tuner_stage(recipe, example_gen, data_validator, extractor, state)]
        tuned = {"hyperparameters": tuners[0].outputs["hyperparameters"]}
    trainer = GANTrainer(
        examples=examples,
        anomalies=anomalies,
        config=recipe.trainer.model_dump_json(),
        data=data,
        checkpoint_dir=os.path.join(state, "checkpoints"),
        code_version=trainer_version(recipe.trainer),
        extractor=extractor.outputs["extractor"],
        **tuned,
        **({"mirror": 1} if recipe.data.mirror else {}),
    )
    model = trainer.outputs["model"]
    converters: list[BaseComponent] = []
    if recipe.converter.to:
        converter = Converter(
            model=model,
            config=recipe.converter.model_dump_json(),
            code_version=code_version("converter"),
        )
        model = converter.outputs["converted"]
        converters = [converter]
    serving_dir = recipe.pusher.serving_dir or os.path.join(state, "serving")
    blessed = LatestBlessed(
        model=model, extractor=extractor.outputs["extractor"], serving_dir=serving_dir
    )
    evaluator = GANEvaluator(
        examples=examples,
        model=model,
        extractor=extractor.outputs["extractor"],
        model_run=trainer.outputs["model_run"],
        baseline=output_value(blessed, "latest"),
        best=output_value(blessed, "best"),
        schema=schema_gen.outputs["schema"],
        config=recipe.evaluator.model_dump_json(),
        data=data,
        data_name=recipe.name,
        reference_scores=os.path.join(state, "reference_scores"),
        code_version=code_version("evaluator"),
    )
    infra_validator = InfraValidator(
        model=model,
        config=recipe.infra_validator.model_dump_json(),
        code_version=code_version("infra_validator"),
    )
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_validator.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_dir)
        ),
        custom_config={
            "code_version": code_version("pusher"),
            "keep_last": recipe.pusher.keep_last,
        },
    )
    stages = [
        find_data,
        example_gen,
        statistics_gen,
        schema_gen,
        good_span,
        data_validator,
        extractor,
        *tuners,
        trainer,
        *converters,
        blessed,
        evaluator,
        infra_validator,
        pusher,
    ]
    if run is not None:
        verdict = Verdict(
            model_blessing=evaluator.outputs["blessing"],
            infra_blessing=infra_validator.outputs["blessing"],
            pushed_model=pusher.outputs["pushed_model"],
            folder=outcomes_folder(recipe, state),
            run=run,
        )
        stages.append(verdict)
    return Pipeline(
        pipeline_name=recipe.name,
        pipeline_root=artifacts,
        components=stages,
        beam_pipeline_args=beam_arguments(recipe.beam),
        **options,
    )
