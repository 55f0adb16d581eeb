import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer import networks
from components.trainer.networks import DISCRIMINATORS, GENERATORS

LATENTS = tf.random.stateless_normal([2, 4], [0, 0])


def _functional():
    latents, labels = keras.Input([4]), keras.Input([], dtype="int32")
    inner = keras.Sequential([keras.Input([4]), keras.layers.Dense(4), keras.layers.ReLU()])
    embedded = keras.layers.Embedding(3, 4)(labels)
    hidden = inner(keras.layers.Add()([latents, embedded]))
    shared = keras.layers.Dense(4)
    steps = keras.layers.Reshape([2, 2])(shared(shared(hidden)))
    outputs = keras.layers.TimeDistributed(keras.layers.Dense(3))(steps)
    return keras.Model([latents, labels], outputs)


def _sequential():
    return keras.Sequential([keras.layers.Dense(6), keras.layers.Dense(2)])


class Subclassed(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {"units": self.units}


class Closed(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs)


def _ours():
    return GENERATORS.get("mlp")(4, (5,), num_classes=3, seed=7, dtype="mixed_float16")


MODELS = {
    "functional": (_functional, [LATENTS, tf.constant([0, 2])]),
    "sequential": (_sequential, LATENTS),
    "subclassed": (lambda: Subclassed(3), LATENTS),
    "ours": (_ours, [LATENTS, tf.constant([0, 2])]),
}


def _policies(model):
    made = [layer for layer in model._flatten_layers() if layer.variables]
    return {layer.compute_dtype for layer in made if not isinstance(layer, keras.Model)}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", None])
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_has_the_dtype_and_weights_of_its_own(name, dtype):
    make, inputs = MODELS[name]
    with networks.copying.default_policy("mixed_float16"):
        model = make()
    model(inputs)
    before = model.get_weights()
    copy = networks.copy(model, dtype)
    outputs = copy(inputs)

    expected = {"float32": "float32", "mixed_bfloat16": "bfloat16", None: "float16"}[dtype]
    assert _policies(copy) == {expected}
    assert outputs.shape == model(inputs).shape
    assert keras.config.dtype_policy().name == "float32"

    copy.set_weights([np.zeros_like(weight) for weight in copy.get_weights()])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    copy.set_weights(before)
    np.testing.assert_allclose(
        tf.cast(copy(inputs), tf.float32), tf.cast(model(inputs), tf.float32), atol=0.05
    )


def test_a_model_that_cannot_be_copied_says_what_to_implement():
    with pytest.raises(ValueError, match="Closed cannot be copied: give it a get_config"):
        networks.copy(Closed(keras.layers.Dense(2)))


@pytest.fixture
def module(monkeypatch):
    """An importable module of a user."""

    def everything(latent_dim, data_shape, num_classes, seed, dtype):
        model = keras.Sequential([keras.layers.Dense(data_shape[0], dtype=dtype)])
        model.given = (latent_dim, num_classes, seed)
        return model

    def some(data_shape):
        return keras.Sequential([keras.layers.Dense(data_shape[0])])

    def anything(**options):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.given = options
        return model

    module = types.ModuleType("users_networks")
    functions = {"everything": everything, "some": some, "anything": anything}
    vars(module).update(
        functions, greedy=lambda data_shape, depth: None, empty=lambda: None, number=3
    )
    monkeypatch.setitem(sys.modules, "users_networks", module)
    return module


def test_a_name_of_the_registry_is_its_class():
    assert networks.resolve("mlp", GENERATORS) is GENERATORS.get("mlp")


def test_a_users_function_is_given_what_its_signature_names(module):
    make = networks.resolve("users_networks:everything", GENERATORS)
    model = make(4, (5,), num_classes=3, width=None, seed=2, dtype="mixed_bfloat16")
    assert model.given == (4, 3, 2)
    assert model(LATENTS).shape == (2, 5)

    given = networks.resolve("users_networks:anything", DISCRIMINATORS)((5,), seed=1).given
    assert dict(given) == {"data_shape": (5,), "seed": 1}


@pytest.mark.parametrize(
    ("registry", "sizes"), [(GENERATORS, (4, (5,))), (DISCRIMINATORS, ((5,),))]
)
def test_without_dtype_the_function_runs_under_the_policy(module, registry, sizes):
    model = networks.resolve("users_networks:some", registry)(*sizes, dtype="mixed_bfloat16")

    assert model(LATENTS).dtype == tf.bfloat16
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dcgam", "unknown generator 'dcgam': did you mean 'dcgan'.*or module:function"),
        ("no_such_module_here:make", "no module 'no_such_module_here' can be imported"),
        ("components.trainer.no_such:make", "no module 'components.trainer.no_such'"),
        ("users_networks:som", "users_networks has no function 'som': did you mean 'some'"),
        ("users_networks:number", "has no function 'number'"),
        ("users_networks:", "not of the form module:function"),
        ("users networks:make", "not of the form module:function"),
        ("a:b:c", "not of the form module:function"),
        ("users_networks:greedy", "missing a required argument: 'depth'.* latent_dim"),
        ("users_networks:empty", "returned a NoneType; it must return a keras.Model"),
    ],
)
def test_errors_name_what_would_do(module, name, message):
    with pytest.raises(ValueError, match=message):
        networks.resolve(name, GENERATORS)(4, (5,), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": (2, 3)}, r"'users_networks:some' has no argument 'groups', .*: \(2, 3\)"),
        ({"pac": 4}, "'users_networks:some' has no argument 'pac', which this recipe passes: 4"),
    ],
)
def test_a_function_is_not_called_without_what_matters(module, options, message):
    with pytest.raises(ValueError, match=message):
        networks.resolve("users_networks:some", DISCRIMINATORS)((5,), seed=0, **options)
    made = networks.resolve("users_networks:anything", DISCRIMINATORS)((5,), seed=0, **options)
    assert options.items() <= made.given.items()


@pytest.mark.parametrize("name", ["mlp", "resnet", "not_there_yet.networks:make"])
def test_names_are_checked_without_an_import(name):
    networks.check_name(name, DISCRIMINATORS)


@pytest.mark.parametrize("name", ["resnett", "a b:c", ":make", "module:"])
def test_wrong_names_are_refused_without_an_import(name):
    with pytest.raises(ValueError, match="discriminator"):
        networks.check_name(name, DISCRIMINATORS)


@pytest.mark.parametrize("conditioning", ["concatenation", "normalization"])
def test_a_copy_can_be_saved_and_served(tmp_path, conditioning):
    options = {"num_classes": 3, "conditioning": conditioning, "self_attention": True}
    model = GENERATORS.get("resnet")(4, (8, 8, 1), width=8, dtype="mixed_bfloat16", **options)
    copy = networks.copy(model)
    inputs = [LATENTS, tf.constant([0, 2])]
    expected = copy(inputs)
    served = tf.Module()
    served.copy = copy
    specs = [tf.TensorSpec([None, 4]), tf.TensorSpec([None], tf.int32)]
    serve = tf.function(lambda *inputs: copy(list(inputs)), input_signature=specs)
    tf.saved_model.save(served, str(tmp_path), signatures={"serving_default": serve})
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]

    names = sorted(loaded.structured_input_signature[1])
    (found,) = loaded(**dict(zip(names, inputs, strict=True))).values()
    np.testing.assert_allclose(found, expected, atol=1e-5)
