from tests.support.result_tables import panel, real  # noqa: F401
