"""Runs the cells of a notebook, magics included, as a kernel does: without threads or history."""

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class Cells(InteractiveShell):
    """The names of a notebook, `user_ns`, and what runs its cells. An error is not printed."""

    def __init__(self):
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        super().__init__(config=config)

    def enable_gui(self, gui=None):
        pass

    def showtraceback(self, *args, **kwargs):
        pass

    def showsyntaxerror(self, *args, **kwargs):
        pass

    def run(self, source):
        """Run a cell; return the exception that it raised, or None."""
        result = self.run_cell(source, store_history=False)
        return result.error_before_exec or result.error_in_exec
