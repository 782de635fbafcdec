"""The errors a user can cause or meet, each one line: what, where, what next."""


class AnimateError(Exception):
    """Something the caller can mend; the command line prints it as one line and exits 2."""

    exit_code = 2


class VerificationError(AnimateError):
    """A finished draft did not carry its mark and was not published; the command line exits 1."""

    exit_code = 1
