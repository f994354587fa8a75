"""How Hypothesis draws, for the tests of both packages: said here and nowhere else.

Every run draws the same examples, so that no change fails by the luck of its day. `--hypothesis-profile=drawn` draws
others each time; what that finds becomes an example of its own.
"""

from hypothesis import HealthCheck, settings

# No test is about time: on a busy machine any example may be slow. Nor is one about how examples are drawn: of nested
# containers many may be too large, by chance. Fixtures such as `impl` are the same for all examples of a test.
COMMON = settings(
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
settings.register_profile("steady", COMMON, derandomize=True)
settings.register_profile("drawn", COMMON, derandomize=False)
settings.load_profile("steady")
