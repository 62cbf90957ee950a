"""Printing what a machine measured, marked as such."""


def measured(text):
    """Print `text` and mark each line as measured.

    Accuracies and times differ a little from machine to machine. The test that re-executes the
    notebooks ignores exactly the lines that end in "(measured)".
    """
    for line in str(text).splitlines():
        print(f"{line} (measured)")
