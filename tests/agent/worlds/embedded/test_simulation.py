from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.worlds.embedded import physics
from agent.worlds.embedded.physics import RUN_SPEED, is_clear
from agent.worlds.embedded.render import framebuffer, raster
from agent.worlds.embedded.scenes.base import BuiltScene, Scene, Start
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.street import Street
from agent.worlds.embedded.simulation import INFO_NAMES, Simulation
from tests.agent.worlds.embedded.conftest import scene_named

SIDE = 32
AXES = ("/input/Vertical", "/input/Horizontal", "/input/LookHorizontal")


def drive(simulation: Simulation, steps: int, seed: int) -> list[bytes]:
    """Walk at random; returns a frame now and then, with its info."""
    rng = np.random.default_rng(seed)
    recorded = []
    for step in range(steps):
        if step % 3 == 0:
            for address in (*AXES, "/input/Jump", "/input/Run"):
                low = -1 if address in AXES else 0
                simulation.set_input(address, int(rng.integers(low, 2)))
        simulation.step()
        if step % 7 == 0:
            recorded.append(simulation.frame().tobytes() + simulation.info().tobytes())
    return recorded


def value(simulation: Simulation, name: str) -> float:
    return float(simulation.info()[INFO_NAMES.index(name)])


def test_same_seed_and_inputs_give_the_same_frames(scene: Scene) -> None:
    first, second = (drive(Simulation(scene, SIDE, 3), 120, seed=1) for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)


def test_rendering_does_not_change_the_simulation(scene: Scene) -> None:
    rendered, unrendered = Simulation(scene, SIDE, 3), Simulation(scene, SIDE, 3)
    for _ in range(40):
        rendered.step()
        rendered.frame()
        unrendered.step()
    assert (rendered.frame() == unrendered.frame()).all()


def test_another_seed_gives_another_food_room() -> None:
    first, second = (Simulation(FoodRoom(pool=4), SIDE, seed).frame() for seed in (0, 1))
    assert (first != second).any()


def test_frames_have_the_requested_size() -> None:
    scene = scene_named("food_room")
    assert Simulation(scene, SIDE, 0).frame().shape == (3, SIDE, SIDE)
    assert Simulation(scene, (20, 36), 0).frame().shape == (3, 20, 36)


def test_supersampling_renders_the_same_view_more_smoothly() -> None:
    plain = Simulation(Street(), SIDE, 0).frame().astype(float)
    smooth = Simulation(Street(), SIDE, 0, supersample=2).frame().astype(float)
    assert 0.0 < np.abs(plain - smooth).mean() < 20.0


@pytest.mark.parametrize(
    ("address", "name", "sign"),
    [
        ("/input/Vertical", "y", 1),
        ("/input/Horizontal", "x", 1),
        ("/input/LookHorizontal", "heading", 1),
    ],
)
@pytest.mark.parametrize("amount", [1, -1])
def test_ground_truth_has_the_documented_signs(
    address: str, name: str, sign: int, amount: int
) -> None:
    simulation = Simulation(scene_named("street"), SIDE, 0)
    before = value(simulation, name)
    simulation.set_input(address, amount)
    for _ in range(10):
        simulation.step()
    assert math.copysign(1.0, value(simulation, name) - before) == sign * amount


def test_turning_right_moves_the_view_to_the_left() -> None:
    simulation = Simulation(scene_named("street"), 64, 0)
    before = simulation.frame().astype(int)
    simulation.set_input("/input/LookHorizontal", 1)
    simulation.step()
    after = simulation.frame().astype(int)
    to_the_left = np.abs(after[:, :, :-4] - before[:, :, 4:]).mean()
    to_the_right = np.abs(after[:, :, 4:] - before[:, :, :-4]).mean()
    assert to_the_left < to_the_right


@pytest.mark.parametrize("name", ["street", "food_room"])
def test_info_names_every_number(name: str) -> None:
    simulation = Simulation(scene_named(name), SIDE, 0)
    simulation.frame()
    info = simulation.info()
    assert info.shape == (len(INFO_NAMES),) and info.dtype == np.float32
    assert np.isfinite(info).all()
    x, y = simulation.scene_state.cells.corner(int(value(simulation, "cell")))
    assert (x, y) == (math.floor(value(simulation, "x")), math.floor(value(simulation, "y")))


def test_flicker_share_is_nan_until_the_step_is_rendered() -> None:
    simulation = Simulation(FoodRoom(pool=4), SIDE, 0)
    simulation.step()
    assert math.isnan(value(simulation, "flicker_share"))
    simulation.frame()
    assert value(simulation, "flicker_share") == pytest.approx(1.0)


def test_street_starts_the_body_at_its_start() -> None:
    body = Simulation(Street(start=[12.0, 21.6]), 16, seed=0).scene_state.body
    assert (body.x, body.y) == pytest.approx((12.0, 21.6), abs=0.01)
    with pytest.raises(ValueError, match="is inside something"):
        Simulation(Street(start=[12.0, 30.0]), 16, seed=0)
    with pytest.raises(ValueError, match="x and y in metres"):
        Street(start=[12.0])


def test_start_inside_a_solid_is_refused() -> None:
    class Buried(FoodRoom):
        def build(self, seed: int) -> BuiltScene:
            built = super().build(seed)
            built.start = Start(-100.0, 0.0)
            return built

    with pytest.raises(ValueError, match="start of Buried"):
        Simulation(Buried(pool=1), SIDE, 0)


inputs = st.lists(
    st.tuples(
        st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([-1, 0, 1]), st.booleans(),
        st.booleans(), st.integers(1, 30),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(["street", "food_room"]), inputs=inputs, start=st.integers(0, 10**6))
def test_no_input_leaves_the_bounds_or_enters_a_solid(
    name: str, inputs: list[tuple[float, float, int, bool, bool, int]], start: int
) -> None:
    simulation = shared_simulation(name)
    scene_state = simulation.scene_state
    place_at_random(simulation, start)
    for forward, right, turn, jump, run, steps in inputs:
        values = dict(zip(AXES, (forward, right, turn), strict=True))
        for address, amount in (values | {"/input/Jump": jump, "/input/Run": run}).items():
            simulation.set_input(address, amount)
        for _ in range(steps):
            simulation.step()
            assert is_clear(
                scene_state.body.x, scene_state.body.y, scene_state.solids, scene_state.bounds
            )
            assert math.hypot(*scene_state.body.velocity[:2]) <= RUN_SPEED * (1 + 1e-9)
            assert scene_state.body.z >= 0.0


SHARED: dict[str, Simulation] = {}


def shared_simulation(name: str) -> Simulation:
    if name not in SHARED:
        SHARED[name] = Simulation(scene_named(name), 16, 0)
    return SHARED[name]


def place_at_random(simulation: Simulation, seed: int) -> None:
    """Stand the body on any clear spot of the world."""
    scene_state, rng = simulation.scene_state, np.random.default_rng(seed)
    x0, y0, x1, y1 = scene_state.bounds[0]
    while True:
        x, y = float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1))
        if is_clear(x, y, scene_state.solids, scene_state.bounds):
            scene_state.body.x, scene_state.body.y = x, y
            return


def test_nothing_compiles_during_a_run() -> None:
    simulation = Simulation(scene_named("street"), SIDE, 0)
    simulation.frame()
    functions = (raster.rasterize, framebuffer.unpack, physics.move_and_slide, physics.is_clear)
    before = [list(function.signatures) for function in functions]  # type: ignore[attr-defined]
    drive(simulation, 120, seed=2)
    after = [list(function.signatures) for function in functions]  # type: ignore[attr-defined]
    assert after == before
    assert all(before)
