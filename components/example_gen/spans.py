"""Spans and versions of the data, resolved by TFX both for runs and before them."""

import hashlib
import posixpath
from collections.abc import Mapping

from tfx.components.example_gen.input_processor import FileBasedInputProcessor
from tfx.proto import example_gen_pb2, range_config_pb2

from components.example_gen import paths
from components.example_gen.files.names import PLACEHOLDER


class SpanProcessor(FileBasedInputProcessor):
    """TFX's processor, for patterns with alternatives, and with a fingerprint of every file.

    TFX itself supports one glob per split, and modification times in whole seconds.

    Args:
      base: the folder that patterns are relative to.
      patterns: by split.
      range_config: which spans to choose from; by default all.

    Raises:
      ValueError: if the placeholders differ between the patterns of the splits, and if the name
        of the folder itself looks like one.
    """

    def __init__(
        self,
        base: str,
        patterns: Mapping[str, str],
        range_config: range_config_pb2.RangeConfig | None = None,
    ) -> None:
        self._base = base
        self._patterns = dict(patterns)
        self._spans = [each for each in patterns.values() if PLACEHOLDER.search(each)]
        if self._spans and (found := PLACEHOLDER.search(base)):
            raise ValueError(
                f"{base}: a span in a file ({self._spans[0]}) below a folder called {found[0]}; "
                "rename the folder"
            )
        # A span is part of a file's path, and the same in all alternatives.
        outer = [
            example_gen_pb2.Input.Split(
                name=name, pattern=pattern.split(paths.ALTERNATIVE)[0].split(paths.INSIDE)[0]
            )
            for name, pattern in patterns.items()
        ]
        super().__init__(base, outer, range_config)

    def resolve_span_and_version(self) -> tuple[int, int | None]:
        """The latest span and its latest version; raises ValueError if a split lacks them."""
        if not self._spans:
            # TFX would list the files, which fails for names that are not UTF-8.
            return 0, None
        try:
            return super().resolve_span_and_version()
        except ValueError as error:
            where = ", ".join(posixpath.join(self._base, each) for each in self._patterns.values())
            raise ValueError(f"{where}: {error}; check data.path and data.splits") from error

    def get_input_fingerprint(self, span: int, version: int | None) -> str:
        digest = hashlib.sha256()
        for pattern in self.patterns(span, version).values():
            for path, inner in paths.parts(self._base, pattern):
                text = f"{path}\0{inner}\0{paths.state(path)}\0"
                # A name may be other than UTF-8.
                digest.update(text.encode(errors="surrogateescape"))
        return digest.hexdigest()

    def patterns(self, span: int, version: int | None) -> dict[str, str]:
        """The patterns by split, with numbers in place of `{SPAN}`, `{VERSION}` and dates."""
        return {
            name: self.get_pattern_for_span_version(pattern, span, version)
            for name, pattern in self._patterns.items()
        }
