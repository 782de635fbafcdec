"""User errors; each message is one line that says what is wrong, where, and what to do next."""


class AnimateError(Exception):
    """A user error; the command line prints it as one line and exits 2."""

    exit_code = 2


class VerificationError(AnimateError):
    """A draft without a readable mark, which is not published; the command line exits 1."""

    exit_code = 1
