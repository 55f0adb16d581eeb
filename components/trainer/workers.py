"""What the workers of a cluster decide together, and what one does that has lost another."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from components.trainer import deadline, rendezvous

# What is longer than `wait_for_workers_minutes` is that.
_SECONDS_TO_CONNECT = 120
# The connections of a process that dies may be closed before its port is.
_SECONDS_TO_DIE = 5.0
# What operations raise when a peer, or the connection to it, is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def join(addresses: Sequence[str], own: int, minutes: float) -> tf.distribute.Strategy:
    """The strategy of the cluster in TF_CONFIG, once all workers are there.

    Raises:
      rendezvous.TryAgain: as `rendezvous.meet`, and if a worker is lost while they connect.
    """
    rendezvous.meet(addresses, own, minutes)
    # A worker that is lost between the two lets TensorFlow wait for ever, holding Python's lock.
    seconds = min(minutes * 60, _SECONDS_TO_CONNECT)
    others = [index for index in range(len(addresses)) if index != own]
    message = (
        f"no connection within {seconds:g} s after all had come: one is gone of "
        f"{rendezvous.in_words(addresses, others)}; start all workers again"
    )
    limit = deadline.exit_after(seconds, rendezvous.RESUME_EXIT_CODE, message)
    with _translated(addresses, own), limit:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    if threading.current_thread() is threading.main_thread():
        # TensorFlow's coordination service has installed a handler that ignores SIGTERM.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy


class Workers:
    """The workers that train together with this one; often there are no others.

    Its methods are called by all of them, at the same point of the training.

    Args:
      strategy: any strategy.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        resolver = strategy.cluster_resolver
        cluster = resolver.cluster_spec().as_dict() if resolver else {}
        self.addresses = rendezvous.addresses_of(cluster)
        self.several = len(self.addresses) > 1
        self.own = 0
        if self.several:
            before = len(cluster.get("chief", ())) if resolver.task_type == "worker" else 0
            self.own = before + resolver.task_id
        self._gather = tf.function(self._gather_replicas)

    def everyones(self, values: Sequence[float]) -> np.ndarray:
        """The `values` of each worker, float64 [workers, values]."""
        if not self.several:
            return np.array([values], np.float64)
        found = self._gather(tf.constant([values], tf.float64)).numpy()
        # The replicas of a worker have the same values.
        return found[:: len(found) // len(self.addresses)]

    def meet(self) -> None:
        """Waits for all."""
        self.everyones([0.0])

    def check_same_step(self, step: int) -> None:
        """Raises ValueError if a worker is at another step: it does not see the checkpoints."""
        steps = self.everyones([step])[:, 0].astype(int).tolist()
        for index, theirs in enumerate(steps):
            if theirs != steps[0]:
                raise ValueError(
                    f"worker {index} resumes at step {theirs}, the chief at {steps[0]}: the folder "
                    "of checkpoints must be on a volume that all workers share"
                )

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Turns the errors of a lost worker into one line and exit code 75.

        Raises:
          rendezvous.TryAgain: if a worker is lost inside; any other error is passed on.
        """
        if not self.several:
            yield
            return
        with _translated(self.addresses, self.own):
            yield

    def _gather_replicas(self, values: tf.Tensor) -> tf.Tensor:
        return self._strategy.gather(self._strategy.run(tf.identity, args=(values,)), axis=0)


@contextlib.contextmanager
def _translated(addresses: Sequence[str], own: int) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        lost = isinstance(error, _LOST)
        gone = rendezvous.unreachable(addresses, own, _SECONDS_TO_DIE if lost else 0.0)
        if not gone and not lost:
            raise
        who = rendezvous.in_words(addresses, gone) or "the connection to a worker"
        rendezvous.give_up(
            f"{who} is gone; start all workers again, and training resumes from the last checkpoint"
        )
