import referee

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "cnn"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
# Known wrong answers, and data that only the tests may see, never reach a student.
c.CourseDirectory.ignore.extend(["cases.py", "judging"])

# Students' code is graded apart from the tests. COURSE_GRADER=stock keeps nbgrader's own way.
referee.enable(c)
c.Referee.packages = ["numpy", "matplotlib.pyplot", "torch", "cnnbook"]
