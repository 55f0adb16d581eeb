"""What a request is refused with."""


class RequestError(Exception):
    """A refusal that the client is told.

    Args:
      status: of HTTP, 400 or above.
      message: in one line.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def invalid(message: str) -> RequestError:
    """INVALID_ARGUMENT of gRPC."""
    return RequestError(400, message)


def not_found(message: str) -> RequestError:
    """NOT_FOUND of gRPC."""
    return RequestError(404, message)
