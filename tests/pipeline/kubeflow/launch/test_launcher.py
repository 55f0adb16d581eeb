"""The trainer stage starts its job, waits for it, and finds it again."""

import json
import re
import threading
from pathlib import Path

import pytest

from pipeline.kubeflow import entry_point
from pipeline.kubeflow.launch import launcher
from pipeline.kubeflow.launch.cluster import JobError
from pipeline.kubeflow.launch.exchange import Exchange

RUN = "44444444-4444-4444-8444-444444444444"
NAME = f"trainer-{RUN}"
DONE = {"jobset": "Completed", "trainjob": "Complete"}


def launch(pod, kind="jobset"):
    launcher.main(pod.arguments(), pod.environ(kind), pod.account, seconds=0.05)


def folder_of(job):
    """The folder that the workers of a JobSet are given."""
    return command_of(job["spec"])[-1]


def command_of(jobset):
    pod = jobset["replicatedJobs"][0]["template"]["spec"]["template"]
    return pod["spec"]["containers"][0]["command"]


def leave_outputs(folder, text="weights"):
    """What the chief does."""
    given = Exchange(folder).command_of(0).given
    artifacts = {}
    for name, artifact in entry_point.artifacts(given["outputs"]):
        if name != "executor-logs":
            Path(artifact["uri"]).mkdir(parents=True)
            Path(artifact["uri"], "file").write_text(text)
            listed = {"uri": artifact["uri"], "metadata": {"code_version": "1"}}
            artifacts[name] = {"artifacts": [listed]}
    Path(given["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": artifacts}))
    return given


@pytest.mark.parametrize("kind", DONE)
def test_starts_the_workers_and_takes_the_chiefs_outputs(pod, api, kind):
    (pod.staged("examples") / "data").write_text("1797 digits")
    seen = {}

    def train(job):
        jobset = api.created[0]["spec"]
        jobset = jobset["template"]["spec"] if kind == "trainjob" else jobset
        folder = command_of(jobset)[-1]
        seen.update(leave_outputs(folder))
        for name, artifact in entry_point.artifacts(seen["inputs"]):
            seen[name] = artifact
            # Nothing that only the launching pod has.
            assert artifact["uri"].startswith(str(pod.volume))
        seen["data"] = Path(seen["examples"]["uri"], "data").read_text()
        api.end(job, DONE[kind])

    api.start_job = train
    launch(pod, kind)

    assert seen["data"] == "1797 digits"
    given = pod.given["inputs"]["artifacts"]["examples"]["artifacts"][0]
    assert seen["examples"]["metadata"]["address"] == given["uri"]
    artifacts = pod.result()["artifacts"]
    for name in ("model", "model_run"):
        assert (pod.staged(name) / "file").read_text() == "weights"
        (wanted,) = pod.given["outputs"]["artifacts"][name]["artifacts"]
        assert artifacts[name]["artifacts"] == [
            {"uri": wanted["uri"], "metadata": {"code_version": "1"}}
        ]
    kinds = {"jobset": ["JobSet"], "trainjob": ["TrainingRuntime", "TrainJob"]}
    assert [each["kind"] for each in api.created] == kinds[kind]
    for manifest in api.created:
        assert manifest["metadata"]["name"] == NAME
        assert manifest["metadata"]["labels"] == {
            "tfx-gan/pipeline": "digits",
            "tfx-gan/run": RUN,
        }
    assert pod.words() is None


def test_another_attempt_finds_the_job_and_gives_it_nothing_new(pod, api):
    # The first launching pod is lost while the workers train.
    api.start_job = lambda job: api.forbidden.add("get")
    with pytest.raises(JobError):
        launch(pod)
    api.forbidden.clear()
    (job,) = api.jobs()
    leave_outputs(folder_of(job))
    before = len(api.requests)

    second = threading.Thread(target=launch, args=(pod,), daemon=True)
    second.start()
    # It waits as long as the job goes on.
    while len(api.requests) < before + 4:
        assert second.is_alive()
        second.join(0.01)
    api.end(job, "Completed")
    second.join(60)
    assert len(api.created) == 1
    assert (pod.staged("model") / "file").read_text() == "weights"
    assert pod.words() is None

    # And a third, after its outputs could not be uploaded, takes them once more.
    launch(pod)
    assert len(api.created) == 1


def test_a_launching_pod_that_was_lost_before_it_created_the_job_leaves_nothing_behind(pod, api):
    left = pod.volume / "jobs" / NAME / "inputs" / "0"
    left.mkdir(parents=True)
    (left / "half").write_text("of a file")

    def train(job):
        assert not (left / "half").exists()
        leave_outputs(folder_of(job))
        api.end(job, "Completed")

    api.start_job = train
    launch(pod)
    assert len(api.created) == 1


def test_outputs_that_are_gone_are_made_again(pod, api):
    def train(job):
        leave_outputs(folder_of(job))
        api.end(job, "Completed")

    api.start_job = train
    launch(pod)
    Exchange(folder_of(api.created[0])).command_of(0)
    launch(pod)
    assert len(api.created) == 2
    assert (pod.staged("model") / "file").read_text() == "weights"


def test_a_failed_job_is_one_line_and_starts_anew(pod, api):
    def fail(job):
        Path(folder_of(job), "words", "failures").mkdir(parents=True)
        Path(folder_of(job), "words", "failures", "worker 1").write_text("ValueError: no data")
        api.end(job, "Failed", "max restarts")

    api.start_job = fail
    logs = f"kubectl logs -n team -l jobset.sigs.k8s.io/jobset-name={NAME} --prefix --tail=-1"
    words = f"JobSet {NAME}: failed: worker 1: ValueError: no data (max restarts); its logs: {logs}"
    with pytest.raises(JobError, match=f"^{re.escape(words)}$"):
        launch(pod)
    assert pod.words() == f"JobError: {words}"
    assert len(api.jobs()) == 1

    api.start_job = lambda job: api.end(job, "Failed", "reached maxRestarts")
    with pytest.raises(
        JobError, match=r"failed: no worker said why \(reached maxRestarts\); its logs"
    ):
        launch(pod)

    def train(job):
        leave_outputs(folder_of(job))
        api.end(job, "Completed")

    api.start_job = train
    launch(pod)
    assert [each["kind"] for each in api.created] == ["JobSet"] * 3
    assert pod.words() is None


REFUSED = {
    "create": (
        {"create"},
        'may not create jobsets.jobset.x-k8s.io in team (jobsets is forbidden: User "x" cannot '
        'create resource here); give it the role of docs/kubeflow.md, "Several workers"',
    ),
    "get": ({"get"}, "may not get jobsets.jobset.x-k8s.io in team"),
}


@pytest.mark.parametrize(("verbs", "words"), REFUSED.values(), ids=REFUSED)
def test_a_missing_permission_is_named(pod, api, verbs, words):
    api.forbidden = verbs
    with pytest.raises(JobError, match=re.escape(f"the pod's service account {words}")) as caught:
        launch(pod)
    assert "\n" not in str(caught.value)
    assert not api.created


def test_what_the_cluster_does_not_admit_is_said_in_its_words(pod, api):
    api.denied = "exceeded quota: requested 8, used 4"
    words = "the cluster does not create jobsets.jobset.x-k8s.io in team: exceeded quota: requested"
    with pytest.raises(JobError, match=words):
        launch(pod)


def test_a_wrong_token_is_said(pod, api):
    (pod.account / "token").write_text("old")
    with pytest.raises(JobError, match=r"service account may not get .* \(Unauthorized\)"):
        launch(pod)


def test_a_kind_that_the_cluster_does_not_know_is_named(pod, api):
    api.known = {"jobset.x-k8s.io"}
    with pytest.raises(JobError, match="does not know trainer.kubeflow.org/v1alpha1; install"):
        launch(pod, "trainjob")


def test_outside_a_cluster(pod, tmp_path):
    pod.account = tmp_path / "nobody"
    with pytest.raises(JobError, match="nobody: Service token file does not exist. Several"):
        launch(pod)


def test_a_job_that_is_deleted_is_not_waited_for(pod, api):
    def delete(job):
        job["metadata"]["deletionTimestamp"] = "now"

    api.start_job = delete
    with pytest.raises(JobError, match=f"JobSet {NAME}: was deleted before its end"):
        launch(pod)


def test_code_that_differs_starts_nothing(pod, api):
    pod.given["inputs"]["parameterValues"]["code_version"] = "other"
    with pytest.raises(ValueError, match="code_version: the pipeline was compiled with trainer"):
        launch(pod)
    assert not api.requests


def test_the_api_may_be_gone_for_a_while(pod, api):
    def train(job):
        leave_outputs(folder_of(job))
        # The answer to the request that created it is lost.
        api.answers = [503, 429]
        threading.Thread(target=restart, args=(job,), daemon=True).start()

    def restart(job):
        api.stop()
        api.end(job, "Completed")
        api.start()

    api.start_job = train
    launch(pod)
    assert len(api.created) == 1
    assert not api.answers
    assert (pod.staged("model") / "file").read_text() == "weights"
