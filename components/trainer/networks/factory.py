"""Networks by name: one of the registry, or `module:function` for a function of the user's."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable

import keras

from components.registry import Registry, nearest
from components.trainer.networks.base import GENERATORS
from components.trainer.networks.copying import default_policy

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclasses.dataclass(frozen=True)
class Factory:
    """A user's function that makes a network, called as the classes of the registry are.

    The function is given those of the arguments that its signature names. Without `dtype` among
    them, it runs with that as Keras's default dtype policy.

    Attributes:
      path: module:function.
      registry: of what the function makes, a generator or a discriminator.
      function: what `path` names.
    """

    path: str
    registry: Registry
    function: Callable[..., keras.Model]

    def __call__(self, *sizes: object, **options: object) -> keras.Model:
        """The network.

        Args:
          *sizes: latent_dim (of a generator) and data_shape.
          **options: as for the classes of the registry.

        Raises:
          ValueError: where the function needs another argument or returns no keras.Model.
        """
        first = ("latent_dim", "data_shape") if self.registry is GENERATORS else ("data_shape",)
        arguments = {**dict(zip(first, sizes, strict=False)), **options}
        parameters = inspect.signature(self.function).parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            named = {p.name for p in parameters}
            taken = {name: value for name, value in arguments.items() if name in named}
        else:
            taken = arguments
        try:
            inspect.signature(self.function).bind(**taken)
        except TypeError as error:
            raise ValueError(
                f"{self.registry.kind} {self.path!r} cannot be called: {error}; "
                f"it may name {', '.join(arguments)}"
            ) from error
        policy = None if "dtype" in taken else arguments.get("dtype")
        with default_policy(policy):
            network = self.function(**taken)
        if not isinstance(network, keras.Model):
            raise ValueError(
                f"{self.registry.kind} {self.path!r} returned a {type(network).__name__}; "
                "it must return a keras.Model"
            )
        return network


def check_name(name: str, registry: Registry) -> None:
    """Raises ValueError unless `name` is in the registry or has the form module:function.

    Nothing is imported: the user's module need not be there yet.
    """
    if ":" in name:
        if not _PATH.fullmatch(name):
            raise ValueError(
                f"{registry.kind} {name!r} is not of the form module:function, "
                "e.g. my_package.networks:make"
            )
    elif name not in registry.names():
        raise ValueError(
            f"unknown {registry.kind} {name!r}: {nearest(name, registry.names())}, "
            "or module:function for one of yours"
        )


def resolve(name: str, registry: Registry) -> Callable[..., keras.Model]:
    """What makes the network that `name` names: a class of the registry or a `Factory`.

    Args:
      name: of the registry, or module:function.
      registry: GENERATORS or DISCRIMINATORS.

    Returns:
      Called as `(latent_dim, data_shape, **options)` for a generator and `(data_shape, **options)`
      for a discriminator; options are those of `Generator` and `Discriminator`.

    Raises:
      ValueError: for an unknown name, no such module, no such function or one that is not callable.
    """
    check_name(name, registry)
    if ":" not in name:
        return registry.get(name)
    module_name, function_name = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only the module itself or a package of its path: what it imports is its own affair.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"{registry.kind} {name!r}: no module {module_name!r} can be imported; "
            "put it beside the recipe, or its folder on PYTHONPATH"
        ) from error
    if not hasattr(module, function_name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise ValueError(
            f"{registry.kind} {name!r}: {module_name} has no {function_name!r}: "
            f"{nearest(function_name, public)}"
        )
    function = getattr(module, function_name)
    if not callable(function):
        raise ValueError(
            f"{registry.kind} {name!r} is a {type(function).__name__}; it must be a function"
        )
    return Factory(name, registry, function)
