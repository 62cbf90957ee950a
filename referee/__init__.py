"""Grades notebooks, and checks before release that their tests can be trusted.

It works on any nbgrader course and knows nothing of what the course teaches. A course switches it
on in its `nbgrader_config.py`:

    import referee

    referee.enable(c)
"""


def enable(config):
    """Let nbgrader grade with referee: `nbgrader autograde` and formgrader's button.

    With `COURSE_GRADER=stock` in the environment nbgrader stays as it is, for a comparison. With
    any other value but `referee` nothing is graded.

    Parameters
    ----------
    config : the configuration object of `nbgrader_config.py`, there called `c`
    """
    from referee import plugin

    plugin.enable(config)
