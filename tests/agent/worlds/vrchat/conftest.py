from tests.agent.osc.conftest import clock, receiver  # noqa: F401
