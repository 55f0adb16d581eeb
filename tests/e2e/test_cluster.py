"""The digits as a cluster would run them: compiled, and every stage a pod of its own."""

import gzip
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from components.evaluator.metrics.registry import METRICS
from pipeline import config
from pipeline.kubeflow import compiling
from pipeline.rehearsal import pod
from pipeline.rehearsal.rehearse import CACHED, FAILED, OK, rehearse
from pipeline.runners import local

# Bytes of an IDX file before its images.
HEADER = 16
# Sums of other numbers of threads round otherwise, and a GAN's training doubles every difference.
THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PROJECT = Path(__file__).parents[2]
# A dozen pods, each of which imports TFX.
pytestmark = pytest.mark.timeout(2400)

NEVER_CACHED = {"FindData", "LatestGoodSpan", "LatestBlessed", "Verdict", "ExitHandler"}
# The generators of these short trainings are below every standard.
NO_STANDARDS = ", ".join(f"{name}: null" for name in METRICS.names())
OVERRIDES = [
    "trainer.images=19200",
    "trainer.checkpoint_every_images=3200",
    "feature_extractor.images=10_000",
    f"evaluator.gate={{bounds: {{{NO_STANDARDS}}}, not_worse_than_blessed: {{fid: 0.05}}}}",
    "kubeflow.volumes=[{claim: gan, mount: /mnt/gan}]",
    "resources.FeatureExtractor={retries: 0}",
    "resources.GANTrainer={retries: 1}",
]


class Cluster:
    """A copy of the digits, and a cluster that they are submitted to."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "digits"
        shutil.copytree(PROJECT / "data" / "digits", self.data)
        self.recipe = config.load(str(self.data / "recipe.yaml"), OVERRIDES)
        self.compiled, self.volume = folder / "pipeline.yaml", folder / "volume"
        self.work = folder / "work"
        self.volume.mkdir()
        compiling.compile_recipe(
            self.recipe, image="i:1", root="minio://bucket/v2", out=str(self.compiled)
        )

    def submit(self, **parameters: object):
        threads = {name: os.environ[name] for name in THREADS if name in os.environ}
        image = pod.Image([str(PROJECT)], [str(self.data)], threads)
        return rehearse(
            str(self.compiled),
            work=str(self.work),
            root="minio://bucket/v2",
            parameters=parameters,
            volumes={"gan": str(self.volume)},
            image=image,
        )

    def kill_the_training(self) -> None:
        """Kills the trainer's process once it has a checkpoint."""
        while not list(self.volume.glob("checkpoints/*/checkpoints/*.index")):
            time.sleep(0.05)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"GANTrainer_Executor" in command:
                os.kill(int(process.name), signal.SIGKILL)

    def outputs(self, run: str, stage: str, name: str) -> Path:
        (found,) = self.work.glob(f"store/minio/bucket/v2/digits/{run}/{stage}/*/{name}")
        return found

    def metrics(self, run: str) -> dict:
        path = self.outputs(run, "GANEvaluator", "evaluation") / "metrics.json"
        return json.loads(path.read_text())

    def outcome(self, run: str) -> str:
        return self.outputs(run, "ExitHandler", "page").read_text()

    @property
    def versions(self) -> list[str]:
        return sorted(os.listdir(self.volume / "serving"))


def states(result) -> dict[str, str]:
    return {task.name: task.state for task in result.tasks}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    try:
        pod.check()
    except RuntimeError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("cluster")
    # Pods have a user of their own, and pytest's folders are this one's alone.
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    return Cluster(folder)


@pytest.fixture(scope="module")
def first(cluster):
    """The first run, whose training was killed in the middle and retried."""
    killer = threading.Thread(target=cluster.kill_the_training, daemon=True)
    killer.start()
    result = cluster.submit()
    killer.join(timeout=1)
    return result


def test_every_stage_runs_and_the_model_is_pushed(cluster, first):
    assert set(states(first).values()) == {OK}, [task.words for task in first.tasks]
    attempts = {task.name: task.attempts for task in first.tasks}
    assert attempts == {**dict.fromkeys(attempts, 1), "GANTrainer": 2}
    assert len(cluster.versions) == 1
    metrics = cluster.metrics(first.run)
    assert metrics["blessed"]
    # Lineage names what others can read, not what a pod had on its disk.
    addresses = [value for key, value in metrics["lineage"].items() if key.endswith(" uri")]
    assert addresses
    assert all(address.startswith("minio://bucket/v2/digits/") for address in addresses)
    page = cluster.outputs(first.run, "GANEvaluator", "report").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    # The attempt that was killed is forgotten.
    pushed = f"/mnt/gan/serving/{cluster.versions[0]}"
    assert cluster.outcome(first.run) == f"digits: blessed, pushed to {pushed}"


def test_the_scores_are_those_of_the_local_runner(cluster, first, tmp_path):
    outcome = local.run(cluster.recipe, str(tmp_path), lambda _: None)

    there = cluster.metrics(first.run)["metrics"]
    here = json.loads(Path(outcome.report).with_name("metrics.json").read_text())["metrics"]
    assert {name: score["value"] for name, score in there.items()} == pytest.approx(
        {name: score["value"] for name, score in here.items()}, rel=1e-6
    )


def test_an_unchanged_run_is_cached_but_for_what_speaks_of_the_run(cluster, first):
    result = cluster.submit()

    assert states(result) == {
        **dict.fromkeys(states(first), CACHED),
        **dict.fromkeys(NEVER_CACHED, OK),
    }
    assert len(cluster.versions) == 1
    assert cluster.outcome(result.run) == cluster.outcome(first.run)


def test_a_worse_model_is_refused_against_the_last_blessed(cluster, first):
    result = cluster.submit(images=3200)

    found = states(result)
    assert FAILED not in found.values(), [task.words for task in result.tasks]
    assert {name for name, state in found.items() if state == OK} == {
        *NEVER_CACHED,
        "GANTrainer",
        "Converter",
        "GANEvaluator",
        "InfraValidator",
        "Pusher",
    }
    metrics = cluster.metrics(result.run)
    assert metrics["references"]["baseline"]["fid"] is not None
    refused = [rule["rule"] for rule in metrics["gate"] if not rule["passed"]]
    assert refused == ["FID at most 5 % worse than the last blessed model's"]
    assert cluster.outcome(result.run).startswith("digits: refused: FID ")
    assert len(cluster.versions) == 1


def test_changed_data_miss_the_cache_and_bad_ones_are_refused_in_words(cluster, first):
    for path in cluster.data.glob("*-images-*.gz"):
        content = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
        negative = np.concatenate([content[:HEADER], 255 - content[HEADER:]])
        path.write_bytes(gzip.compress(negative.tobytes()))

    result = cluster.submit()

    found = states(result)
    assert found["ImageExampleGen"] == found["StatisticsGen"] == OK
    assert found["FeatureExtractor"] == FAILED
    words = " ".join(next(task.words for task in result.tasks if task.state == FAILED))
    assert "the data has anomalies and is refused: split" in words
    assert "GANTrainer" in result.skipped
    said = cluster.outcome(result.run)
    assert said.startswith("digits: failed: FeatureExtractor: ValueError: the data has anomalies")
    assert len(cluster.versions) == 1
