"""The one exception of the package that a user is meant to read."""


class InputError(ValueError):
    """Something the user can put right.

    The message names the value received, what was expected and what to do next, on one line: the
    command line prints it as it stands and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(line.strip() for line in message.splitlines()))
