"""Whole rehearsals: order, cache, retries, exit handlers, volumes, secrets."""

import re

import pytest

_NUMBER = {"n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}}
_FROM_RUN = {"parameters": {"n": {"componentInputParameter": "n"}}}
_OUTPUT = {"taskOutputArtifact": {"producerTask": "A", "outputArtifactKey": "a"}}


def _two_stages(make, *, cached=True, first="make('a')", last="print(parameters)", **fields):
    components = {
        "A": make.component("A", first, parameters=_NUMBER, artifacts=["a"]),
        "B": make.component("B", last, takes=["i"]),
    }
    tasks = {
        "A": make.task("A", inputs=_FROM_RUN, cached=cached, **fields),
        "B": make.task("B", after=["A"], inputs={"artifacts": {"i": _OUTPUT}}, cached=cached),
    }
    return make.pipeline(components, tasks, parameters=_NUMBER)


def _states(result):
    return [(task.name, task.state) for task in result.tasks]


@pytest.mark.parametrize("dialect", ["2.17", "mlmd-free"])
def test_a_second_submission_is_served_from_the_cache(dialect, make, play):
    documents = _two_stages(make)
    first, second = (play(documents, dialect=dialect) for _ in range(2))

    assert _states(first) == [("A", "ok"), ("B", "ok")]
    assert _states(second) == [("A", "cached"), ("B", "cached")]
    assert first.run != second.run
    assert [task.attempts for task in second.tasks] == [0, 0]


def test_a_changed_parameter_misses_the_cache_there_and_below(make, play):
    documents = _two_stages(make)
    play(documents)
    changed = play(documents, parameters={"n": "2"})

    assert _states(changed) == [("A", "ok"), ("B", "ok")]


def test_a_changed_environment_is_served_from_the_cache(make, play):
    def documents(value):
        components = {"A": make.component("A", "", env={"X": value})}
        return make.pipeline(components, {"A": make.task("A", cached=True)})

    assert _states(play(documents("1"))) == [("A", "ok")]
    assert _states(play(documents("2"))) == [("A", "cached")]


def test_a_failed_stage_enters_nothing_and_its_cached_inputs_are_still_there(make, play):
    failing = _two_stages(make, last="sys.exit(1)")
    first, second = play(failing), play(failing)
    mended = play(_two_stages(make, last="print(open(path(inputs, 'i') + '/file').read())"))

    assert _states(first) == [("A", "ok"), ("B", "failed")]
    assert _states(second) == [("A", "cached"), ("B", "failed")]
    assert _states(mended) == [("A", "cached"), ("B", "ok")]
    assert mended.tasks[1].words == ("content",)


def test_without_caching_options_everything_runs_again(make, play):
    documents = _two_stages(make, cached=False)
    play(documents)

    assert _states(play(documents)) == [("A", "ok"), ("B", "ok")]


def test_a_failure_names_the_stage_and_its_words_and_ends_the_run(make, play):
    lines = []
    result = play(_two_stages(make, first="raise ValueError('no images')"), log=lines.append)

    assert not result.ok
    assert result.tasks[0].words[-1] == "ValueError: no images"
    assert result.skipped == ("B",)
    assert len(lines) == 1
    assert re.fullmatch(r"A: failed, \d+ s: failed to execute component: exit status 1", lines[0])


_POLICY = {"maxRetryCount": 2, "backoffDuration": "1s", "backoffFactor": 2}
_FAIL_TWICE = """
place = '/claim/' + os.environ['KFP_RETRY_INDEX']
assert not os.listdir('/tmp'), 'not a new pod'
open('/tmp/dirt', 'w').close()
open(place, 'w').close()
sys.exit(0 if place == '/claim/2' else 75)
"""


@pytest.mark.parametrize(
    ("policy", "attempts", "state"),
    [
        ({**_POLICY, "backoffMaxDuration": "3600s"}, 3, "ok"),
        ({**_POLICY, "maxRetryCount": 1, "backoffMaxDuration": "3600s"}, 2, "failed"),
        # Argo counts its time from the start of the first attempt; without it, there is none.
        (_POLICY, 1, "failed"),
    ],
)
def test_attempts_are_new_pods_as_often_as_the_policy_allows(
    policy, attempts, state, make, play, tmp_path
):
    volume = tmp_path / "claim"
    volume.mkdir()
    documents = make.pipeline(
        {"S": make.component("S", _FAIL_TWICE)},
        {"S": make.task("S", retryPolicy=policy)},
        platform={"S": {"pvcMount": [{"mountPath": "/claim", "constant": "claim"}]}},
    )
    result = play(documents, volumes={"claim": str(volume)})

    assert (result.tasks[0].state, result.tasks[0].attempts) == (state, attempts)
    assert sorted(path.name for path in volume.iterdir()) == [str(i) for i in range(attempts)]
    logs = sorted(path.name for path in (tmp_path / "work/store").rglob("executor-logs-*"))
    assert logs == [f"executor-logs-{i}" for i in range(attempts)]


def _with_exit_handler(make, code):
    status = {"parameterType": "TASK_FINAL_STATUS"}
    name = {"parameterType": "STRING"}
    components = {
        "S": make.component("S", code, parameters={"who": name}),
        "T": make.component("T", ""),
        "Notify": make.component(
            "Notify", "print(parameters['status']['state'])", parameters={"status": status}
        ),
    }
    inner = {
        "S": make.task("S", inputs={"parameters": {"who": {"componentInputParameter": "who"}}}),
        "T": make.task("T", after=["S"]),
    }
    dags = {"stages": {"dag": {"tasks": inner}, "inputDefinitions": {"parameters": {"who": name}}}}
    outer = {
        "stages": make.task(
            "stages", inputs={"parameters": {"who": {"componentInputParameter": "name"}}}
        ),
        "Notify": make.task(
            "Notify",
            after=["stages"],
            inputs={"parameters": {"status": {"taskFinalStatus": {"producerTask": "stages"}}}},
            triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
        ),
    }
    return make.pipeline(components, outer, dags=dags, parameters={"name": name})


@pytest.mark.parametrize(
    ("code", "states", "word"),
    [
        (
            "assert parameters['who'] == 'me'",
            [("S", "ok"), ("T", "ok"), ("Notify", "ok")],
            "COMPLETE",
        ),
        ("sys.exit(3)", [("S", "failed"), ("Notify", "ok")], "FAILED"),
    ],
)
def test_an_exit_handler_runs_whatever_became_of_the_stages(code, states, word, make, play):
    result = play(_with_exit_handler(make, code), parameters={"name": "me"})

    assert _states(result) == states
    assert result.tasks[-1].words == (word,)
    assert result.ok is (word == "COMPLETE")


def test_outputs_of_a_dag_reach_the_task_after_it(make, play):
    components = {
        "S": make.component(
            "S",
            "make('a'); open('/tmp/kfp/outputs/q', 'w').write('5')",
            artifacts=["a"],
            hands_out={"q": "NUMBER_INTEGER"},
        ),
        "Last": make.component(
            "Last",
            "print(parameters['n'], os.listdir(path(inputs, 'i')))",
            parameters={"n": {"parameterType": "NUMBER_INTEGER"}},
            takes=["i"],
        ),
    }
    outputs = {
        "parameters": {
            "q": {"valueFromParameter": {"producerSubtask": "S", "outputParameterKey": "q"}}
        },
        "artifacts": {
            "a": {"artifactSelectors": [{"producerSubtask": "S", "outputArtifactKey": "a"}]}
        },
    }
    dags = {"inner": {"dag": {"tasks": {"S": make.task("S")}, "outputs": outputs}}}
    source = {"producerTask": "inner"}
    inputs = {
        "parameters": {"n": {"taskOutputParameter": {**source, "outputParameterKey": "q"}}},
        "artifacts": {"i": {"taskOutputArtifact": {**source, "outputArtifactKey": "a"}}},
    }
    tasks = {
        "inner": make.task("inner"),
        "Last": make.task("Last", after=["inner"], inputs=inputs),
    }
    result = play(make.pipeline(components, tasks, dags=dags))

    assert result.tasks[-1].words == ("5 ['file']",), result.tasks


def test_a_volume_outlives_its_pod_and_a_claim_without_a_folder_gets_one(make, play):
    mount = {"mountPath": "/pvc", "pvcNameParameter": {"componentInputParameter": "claim"}}
    documents = make.pipeline(
        {
            "A": make.component("A", "open('/pvc/x', 'w').write('kept')"),
            "B": make.component("B", "print(open('/pvc/x').read())"),
        },
        {"A": make.task("A"), "B": make.task("B", after=["A"])},
        parameters={"claim": {"parameterType": "STRING", "defaultValue": "disk"}},
        platform={"A": {"pvcMount": [mount]}, "B": {"pvcMount": [mount]}},
    )
    result = play(documents)

    assert result.tasks[1].words == ("kept",), result.tasks


def _with_secret(make, **fields):
    keys = [{"secretKey": "key", "envVar": "TOKEN"}]
    secret = {"secretName": "s", "keyToEnv": keys, **fields}
    return make.pipeline(
        {"S": make.component("S", "print(os.environ.get('TOKEN'))")},
        {"S": make.task("S")},
        platform={"S": {"secretAsEnv": [secret]}},
    )


@pytest.mark.parametrize(
    ("fields", "shell", "state", "word"),
    [
        ({}, {"TOKEN": "abc"}, "ok", "abc"),
        ({"optional": True}, {}, "ok", "None"),
        ({}, {}, "failed", "takes TOKEN (key 'key') from this shell, where it is not set"),
    ],
)
def test_a_secret_is_the_shells_variable_of_that_name(fields, shell, state, word, make, play):
    result = play(_with_secret(make, **fields), shell=shell).tasks[0]

    assert result.state == state
    assert word in (result.words[-1] if state == "ok" else result.error)


def test_a_field_of_the_pod_is_a_variable(make, play):
    field = {"name": "RUN", "fieldPath": "metadata.labels['pipeline/runid']"}
    result = play(
        make.pipeline(
            {"S": make.component("S", "print(os.environ['RUN'])")},
            {"S": make.task("S")},
            platform={"S": {"fieldPathAsEnv": [field]}},
        )
    )

    assert result.tasks[0].words == (result.run,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": "/mnt/pvc"}, "unrecognized pipeline root format"),
        ({"dialect": "2.71"}, "unknown dialect '2.71': did you mean '2.17'"),
        ({"parameters": {"m": 1}}, "parameter m: the pipeline has no such parameter; known: n"),
        ({"parameters": {"n": "two"}}, "parameter n: expected JSON of type NUMBER_INTEGER"),
    ],
)
def test_what_is_refused_before_the_first_stage(options, message, make, play):
    with pytest.raises(ValueError, match=message):
        play(_two_stages(make), **options)
