"""Grades notebooks, and checks before release that their tests can be trusted.

It works on any nbgrader course and knows nothing of what the course teaches.
"""
