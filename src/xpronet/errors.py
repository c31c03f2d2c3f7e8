"""Errors that the command line prints as one line."""


class InputError(ValueError):
    """A file, value or setting of the user's is wrong.

    The message is one line that names the file, the value and the remedy; the command line prints it without a
    traceback and exits with status 2. Every other error is ours and keeps its traceback.
    """


class WorkError(RuntimeError):
    """The work failed, though nothing is wrong with what the user gave: a helper process was killed, say.

    The message is one line with the remedy; the command line prints it without a traceback and exits with status 1.
    """


class ProcessLostError(WorkError):
    """Another process of the same run has ended, so this one cannot go on.

    The message is one line; it is empty in processes that leave the message to another.
    """
