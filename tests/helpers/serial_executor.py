"""An executor without threads."""

from concurrent.futures import Executor, Future


class SerialExecutor(Executor):
    """Runs each task at once, in the caller's thread."""

    def __init__(self, _workers: int) -> None:
        pass

    def submit(self, task, /, *arguments, **options):
        future: Future = Future()
        try:
            future.set_result(task(*arguments, **options))
        except Exception as error:  # noqa: BLE001  it is raised where the result is asked for
            future.set_exception(error)
        return future

    def map(self, task, *items, **_options):
        return [task(*arguments) for arguments in zip(*items, strict=True)]
