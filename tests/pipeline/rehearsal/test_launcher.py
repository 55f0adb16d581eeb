"""What becomes of a stage, by what it leaves behind: the outcomes of the real launchers."""

import pytest

_OK = None
_BOTH = ("2.17", "mlmd-free")

# code of the stage; words of the failure by dialect, or those of both.
_OUTCOMES = {
    "exit code 75": ("sys.exit(75)", "failed to execute component: exit status 75"),
    "SIGKILL": ("os.kill(os.getpid(), 9)", "failed to execute component: signal: killed"),
    "program that is not there": ("os.execv('/no/such', ['x'])", "exit status 1"),
    "metadata null": (
        "make('a'); say(metadata={'x': None})",
        {"2.17": 'unable to produce MLMD artifact for output "a"', "mlmd-free": _OK},
    ),
    "local URI": (
        "say(uri=make('a'))",
        'Output Artifact "a" does not have a recognized storage URI "/minio/',
    ),
    "URI outside the run": (
        "make('a'); say(uri='minio://rehearsal/other/place')",
        'failed to upload output artifact "a": URI "minio://rehearsal/other/place"',
    ),
    "unknown key": (
        "make('a'); tell('{\"custom_thing\": 1}')",
        'proto: unknown field "custom_thing"',
    ),
    "unknown key of an artifact": (
        "make('a'); say(custom_thing=1)",
        'proto: unknown field "custom_thing"',
    ),
    "broken output file": ("make('a'); tell('{')", "failed to unmarshall ExecutorOutput"),
    "no output file": ("make('a')", _OK),
    "link to a file": ("os.symlink('file', make('a') + '/link')", _OK),
    "absolute link to a file": ("f = make('a'); os.symlink(f + '/file', f + '/link')", _OK),
    "link to a folder": ("os.symlink('.', make('a') + '/linkd')", "'linkd': is a directory"),
    "link to nothing": ("os.symlink('gone', make('a') + '/link')", "no such file or directory"),
    "output never made": (
        "pass",
        {"2.17": _OK, "mlmd-free": 'declared output artifact "a" is missing at "/minio/'},
    ),
    "a file as output": ("open(path(outputs, 'a'), 'w').write('x')", _OK),
    "URI echoed": (
        "make('a'); say(uri=outputs['artifacts']['a']['artifacts'][0]['uri'], metadata={'x': 1})",
        _OK,
    ),
}


@pytest.mark.parametrize("dialect", _BOTH)
@pytest.mark.parametrize("case", _OUTCOMES)
def test_what_a_stage_leaves_behind(case, dialect, play_stage):
    code, words = _OUTCOMES[case]
    expected = words[dialect] if isinstance(words, dict) else words

    result = play_stage(code, artifacts=["a"], options={"dialect": dialect})

    if expected is _OK:
        assert (result.state, result.error) == ("ok", "")
    else:
        assert result.state == "failed"
        assert expected in result.error


_PARAMETERS = {
    "as files": ("open(f'/tmp/kfp/outputs/{k}', 'w').write(v)", ""),
    "in the output file": (
        "values[k] = json.loads(v) if k != 's' else v",
        "tell(json.dumps({'parameterValues': values}))",
    ),
}


@pytest.mark.parametrize("dialect", _BOTH)
@pytest.mark.parametrize("way", _PARAMETERS)
def test_output_parameters_reach_the_next_stage(way, dialect, make, play):
    each, last = _PARAMETERS[way]
    values = {"n": "6", "s": "text", "d": '{"k": [1, 2.5]}'}
    types = {"n": "NUMBER_INTEGER", "s": "STRING", "d": "STRUCT"}
    first = f"values = {{}}\nfor k, v in {values!r}.items():\n    {each}\n{last}\n"
    components = {
        "A": make.component("A", first, hands_out=types),
        "B": make.component(
            "B", "print(parameters)", parameters={k: {"parameterType": v} for k, v in types.items()}
        ),
    }
    sources = {
        k: {"taskOutputParameter": {"producerTask": "A", "outputParameterKey": k}} for k in types
    }
    tasks = {
        "A": make.task("A"),
        "B": make.task("B", after=["A"], inputs={"parameters": sources}),
    }

    result = play(make.pipeline(components, tasks), dialect=dialect)

    assert result.ok, result.tasks
    assert result.tasks[1].words == ("{'d': {'k': [1, 2.5]}, 'n': 6, 's': 'text'}",)
    assert result.parameters["A"] == {"n": 6, "s": "text", "d": {"k": [1, 2.5]}}


def test_an_output_parameter_that_was_not_written_fails(play_stage):
    result = play_stage("pass", hands_out={"q": "NUMBER_INTEGER"})

    assert result.error == (
        'failed to read output parameter name="q" type="NUMBER_INTEGER" '
        'path="/tmp/kfp/outputs/q": open /tmp/kfp/outputs/q: no such file or directory'
    )


def test_an_output_parameter_that_is_not_of_its_type_fails(play_stage):
    code = "open('/tmp/kfp/outputs/q', 'w').write('six')"
    result = play_stage(code, hands_out={"q": "NUMBER_INTEGER"})

    assert 'failed to read output parameter name="q"' in result.error


@pytest.mark.parametrize("dialect", ["2.4", "2.14", "2.17", "mlmd-free"])
def test_an_artifact_reaches_the_next_stage_with_its_metadata(dialect, make, play):
    components = {
        "A": make.component("A", "make('a'); say(metadata={'x': 1.0})", artifacts=["a"]),
        "B": make.component(
            "B",
            "print(open(path(inputs, 'i') + '/file').read(),"
            " inputs['artifacts']['i']['artifacts'][0]['metadata']['x'])",
            takes=["i"],
        ),
    }
    source = {"taskOutputArtifact": {"producerTask": "A", "outputArtifactKey": "a"}}
    tasks = {
        "A": make.task("A"),
        "B": make.task("B", after=["A"], inputs={"artifacts": {"i": source}}),
    }

    result = play(make.pipeline(components, tasks), dialect=dialect)

    assert result.tasks[1].words == ("content 1",), result.tasks
    assert result.tasks[0].notes == ("output a: 1 files",)


@pytest.mark.parametrize(
    ("code", "state", "last"),
    [
        ("print('words')", "ok", "words"),
        ("sys.exit('words')", "failed", "words"),
        ("1 / 0", "failed", "ZeroDivisionError: division by zero"),
    ],
)
def test_the_log_is_uploaded_whatever_became_of_the_stage(code, state, last, play_stage, tmp_path):
    result = play_stage(code)
    logs = list((tmp_path / "work/store").rglob("executor-logs-0"))

    assert result.state == state
    assert result.words[-1] == last
    assert [path.read_text().splitlines()[-1] for path in logs] == [last]
