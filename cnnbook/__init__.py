"""What the chapters and problem sets of the course import."""

__version__ = "0.1.0"
