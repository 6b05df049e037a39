"""The error for what a user can mend: a file, a flag, a value."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one or two sentences that name the file, flag or value, say what was expected
    and what to do. Scripts print it without a traceback and exit with code 1.
    """
