from tests.support.slow_project import project, run_here  # noqa: F401
