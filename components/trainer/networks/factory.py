"""Networks by name: one in the registry, or `module:function` for a user's function."""

import dataclasses
import inspect
from collections.abc import Callable

import keras

from components.common import plugins
from components.common.registry import Registry, nearest
from components.trainer.networks.base import GENERATORS
from components.trainer.networks.copying import default_policy

# What a function may do without; anything else is passed only if the recipe asks for it.
_OPTIONAL = {
    "latent_dim",
    "data_shape",
    "num_classes",
    "conditioning",
    "width",
    "self_attention",
    "spectral_norm",
    "seed",
    "dtype",
}


@dataclasses.dataclass(frozen=True)
class Factory:
    """A user's function that makes a network, with the interface of the registry's classes.

    The function is passed the arguments that its signature names. If `dtype` is not among them, it
    runs with that as Keras's default dtype policy.

    Attributes:
      path: module:function.
      registry: GENERATORS or DISCRIMINATORS, whichever the function makes.
      function: the function at `path`.
    """

    path: str
    registry: Registry
    function: Callable[..., keras.Model]

    def __call__(self, *sizes: object, **options: object) -> keras.Model:
        """Makes the network.

        Args:
          *sizes: latent_dim (generators only) and data_shape.
          **options: as for the registry's classes.

        Raises:
          ValueError: if the function needs other arguments or does not return a keras.Model.
        """
        first = ("latent_dim", "data_shape") if self.registry is GENERATORS else ("data_shape",)
        arguments = {**dict(zip(first, sizes, strict=False)), **options}
        parameters = inspect.signature(self.function).parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            named = {p.name for p in parameters}
            taken = {name: value for name, value in arguments.items() if name in named}
        else:
            taken = arguments
        for name in arguments:
            if name not in taken and name not in _OPTIONAL:
                raise ValueError(
                    f"{self.registry.kind} {self.path!r} has no argument {name!r}, which this "
                    f"recipe passes: {arguments[name]}"
                )
        try:
            inspect.signature(self.function).bind(**taken)
        except TypeError as error:
            raise ValueError(
                f"{self.registry.kind} {self.path!r} cannot be called: {error}; "
                f"its possible arguments are {', '.join(arguments)}"
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

    Imports nothing: the user's module need not exist yet.
    """
    try:
        known = plugins.is_import_path(name) or name in registry.names()
    except ValueError as error:
        raise ValueError(f"{registry.kind} {error}") from error
    if not known:
        raise ValueError(
            f"unknown {registry.kind} {name!r}: {nearest(name, registry.names())}, "
            f"or {plugins.FORM} for your own"
        )


def resolve(name: str, registry: Registry) -> Callable[..., keras.Model]:
    """The class or `Factory` that makes the network called `name`.

    Args:
      name: a name in the registry, or module:function.
      registry: GENERATORS or DISCRIMINATORS.

    Returns:
      A callable with arguments `(latent_dim, data_shape, **options)` for a generator and
      `(data_shape, **options)` for a discriminator; options as for `Generator` and `Discriminator`.

    Raises:
      ValueError: for an unknown name, module or function.
    """
    check_name(name, registry)
    if not plugins.is_import_path(name):
        return registry.get(name)
    try:
        return Factory(name, registry, plugins.load(name))
    except ValueError as error:
        raise ValueError(f"{registry.kind} {error}") from error
