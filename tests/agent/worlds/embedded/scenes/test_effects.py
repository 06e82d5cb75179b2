"""Scene effects: doors, the cyclist, the screen, flickering panels, noise."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.worlds.embedded.fixed_timestep import TIMESTEP
from agent.worlds.embedded.physics import is_clear
from agent.worlds.embedded.reachability import ReachabilityMap
from agent.worlds.embedded.scenes.base import Scene
from agent.worlds.embedded.scenes.blackout import Blackout
from agent.worlds.embedded.scenes.block_noise import BlockNoise
from agent.worlds.embedded.scenes.flicker import Flicker
from agent.worlds.embedded.scenes.food_room import FoodRoom
from agent.worlds.embedded.scenes.one_screen import OneScreen
from agent.worlds.embedded.scenes.street import EAST_ALLEY_END, Street
from agent.worlds.embedded.scenes.texture_schedule import TextureSchedule
from agent.worlds.embedded.scenes.white_noise import WhiteNoise
from agent.worlds.embedded.simulation import Simulation

SIDE = 32
INSIDE_TEAHOUSE = (7.0, 12.5)
DOORWAY = (4.35, 11.3)


def run(simulation: Simulation, seconds: float) -> None:
    for _ in range(round(seconds / TIMESTEP)):
        simulation.step()


def put(simulation: Simulation, x: float, y: float, heading: float = 0.0) -> None:
    body = simulation.scene_state.body
    body.x, body.y, body.heading = x, y, heading
    assert is_clear(x, y, simulation.scene_state.solids, simulation.scene_state.bounds)


def flicker(simulation: Simulation) -> float:
    simulation.frame()
    return float(simulation.info()[simulation.info_names.index("flicker_share")])


def reaches(simulation: Simulation, point: tuple[float, float]) -> bool:
    cells = ReachabilityMap(simulation.scene_state, 0.25).cells()
    return simulation.scene_state.cells.number(*point) in cells


def test_shutter_opens_and_closes_on_time() -> None:
    scene = Street(shutter_open=False, shutter_toggles_at_s=[1.0, 5.0], moving=False)
    simulation = Simulation(scene, SIDE, 0)
    assert not reaches(simulation, INSIDE_TEAHOUSE)
    run(simulation, 0.9)
    assert not reaches(simulation, INSIDE_TEAHOUSE)
    run(simulation, 2.0)
    assert reaches(simulation, INSIDE_TEAHOUSE)
    run(simulation, 4.0)
    assert not reaches(simulation, INSIDE_TEAHOUSE)


def test_shutter_changes_the_frame() -> None:
    scene = Street(shutter_toggles_at_s=[0.5], moving=False)
    simulation = Simulation(scene, SIDE, 0)
    put(simulation, 2.0, 11.3, math.pi / 2)
    before = simulation.frame()
    run(simulation, 0.4)
    assert (simulation.frame() == before).all()
    run(simulation, 2.0)
    assert (simulation.frame() != before).mean() > 0.1


def test_shutter_waits_while_the_body_is_in_the_doorway() -> None:
    simulation = Simulation(Street(shutter_toggles_at_s=[0.5], moving=False), SIDE, 0)
    put(simulation, *DOORWAY)
    run(simulation, 5.0)
    scene_state = simulation.scene_state
    assert is_clear(scene_state.body.x, scene_state.body.y, scene_state.solids, scene_state.bounds)
    put(simulation, 2.0, 11.3)
    run(simulation, 2.0)
    assert not reaches(simulation, INSIDE_TEAHOUSE)


def test_gate_closes_the_western_alley() -> None:
    alley = (-12.0, 41.6)
    assert reaches(Simulation(Street(), SIDE, 0), alley)
    assert not reaches(Simulation(Street(gate_open=False), SIDE, 0), alley)


def test_door_times_must_increase() -> None:
    with pytest.raises(ValueError, match="must increase"):
        Street(shutter_toggles_at_s=[3.0, 2.0]).build(0)


def copy_solids(simulation: Simulation) -> np.ndarray:
    return simulation.scene_state.solids.copy()


def test_cyclist_rides_a_loop_of_constant_period() -> None:
    simulation = Simulation(Street(cyclist_speed=30.0), SIDE, 0)
    put(simulation, 8.0, 12.5)
    run(simulation, 1.0)
    first = copy_solids(simulation)
    periods = []
    for step in range(1, 400):
        simulation.step()
        if np.abs(copy_solids(simulation) - first).max() < 0.6:
            periods.append(step)
    loops = [step for step in periods if step - 1 not in periods]
    assert len(loops) >= 2
    assert loops[1] - loops[0] == pytest.approx(loops[0], abs=2)


def test_cyclist_waits_for_the_body() -> None:
    simulation = Simulation(Street(), SIDE, 0)
    put(simulation, -1.5, 14.0)
    run(simulation, 10.0)
    waiting = copy_solids(simulation)
    run(simulation, 2.0)
    assert (copy_solids(simulation) == waiting).all()
    put(simulation, 2.5, 40.0)
    run(simulation, 1.0)
    assert (copy_solids(simulation) != waiting).any()


def test_nothing_moves_in_a_still_street() -> None:
    simulation = Simulation(Street(moving=False), SIDE, 0)
    before = simulation.frame()
    run(simulation, 1.0)
    assert (simulation.frame() == before).all()
    moving = Simulation(Street(), SIDE, 0)
    before = moving.frame()
    run(moving, 1.0)
    assert (moving.frame() != before).any()


@pytest.mark.parametrize("rate", [0.0, 1.0, 3.0, 10.0, 30.0])
def test_each_panel_changes_at_its_rate_and_phase(rate: float) -> None:
    schedule = TextureSchedule(500, rate, seed=0)
    counts = np.array([schedule.changes(step) for step in range(301)])
    assert (np.diff(counts, axis=0) <= 1).all()
    assert counts[-1] - counts[0] == pytest.approx(np.full(500, rate * 10), abs=1)
    if 0 < rate < 30:
        share = (counts[1] != counts[0]).mean()
        assert share == pytest.approx(rate / 30, abs=0.06)


def test_choices_are_uniform_and_new_at_each_change() -> None:
    schedule = TextureSchedule(1, 30.0, seed=0)
    chosen = [int(schedule.choices(step, 10)[0]) for step in range(3000)]
    assert np.bincount(chosen) == pytest.approx(np.full(10, 300), abs=70)
    repeats = np.mean(np.array(chosen[1:]) == np.array(chosen[:-1]))
    assert repeats == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("scene", [FoodRoom(0.0), FoodRoom(10.0, pool=1), FoodRoom(0.0, None)])
def test_still_rooms_stay_still_and_do_not_flicker(scene: Scene) -> None:
    simulation = Simulation(scene, SIDE, 0)
    before = simulation.frame()
    run(simulation, 1.0)
    assert (simulation.frame() == before).all()
    assert flicker(simulation) == 0.0


def test_procedural_textures_are_new_and_independent_of_rendering() -> None:
    often, once = (Simulation(FoodRoom(10.0, None), SIDE, 0) for _ in range(2))
    seen = set()
    for _ in range(60):
        often.step()
        seen.add(often.frame().tobytes())
        once.step()
    assert len(seen) == 60
    assert (often.frame() == once.frame()).all()


def test_food_room_shows_a_folder_of_images(tmp_path: Path) -> None:
    for number, colour in enumerate(((255, 0, 0), (0, 255, 0))):
        Image.new("RGB", (50, 30), colour).save(tmp_path / f"{number}.png")
    frame = Simulation(FoodRoom(images=str(tmp_path)), SIDE, 0).frame()
    colours = {tuple(pixel) for pixel in frame.reshape(3, -1).T.tolist()}
    assert colours == {(255, 0, 0), (0, 255, 0)}
    with pytest.raises(ValueError, match="holds no image"):
        FoodRoom(images=str(Path(__file__).parent)).build(0)
    with pytest.raises(ValueError, match="is not a folder"):
        FoodRoom(images=str(tmp_path / "0.png")).build(0)


@pytest.mark.parametrize(
    "settings",
    [{"images_per_second": 31.0}, {"pool": 0}, {"width": 0}, {"pool": None, "images": "x"}],
)
def test_impossible_rooms_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        FoodRoom(**settings)  # type: ignore[arg-type]


BEFORE_SCREEN = (EAST_ALLEY_END[0] - 5.0, EAST_ALLEY_END[1])


def test_screen_flickers_where_it_is_visible() -> None:
    simulation = Simulation(OneScreen(pool=4), SIDE, 0)
    assert flicker(simulation) == 0.0
    put(simulation, *BEFORE_SCREEN, math.pi / 2)
    assert 0.05 < flicker(simulation) < 0.5
    put(simulation, *BEFORE_SCREEN, -math.pi / 2)
    assert flicker(simulation) == 0.0


def test_screen_switches_on_after_a_second_of_looking() -> None:
    simulation = Simulation(OneScreen(pool=4, switch_on_s=1.0), SIDE, 0)
    put(simulation, *BEFORE_SCREEN, math.pi / 2)
    run(simulation, 0.9)
    assert flicker(simulation) == 0.0
    run(simulation, 0.2)
    assert flicker(simulation) > 0.05
    put(simulation, *BEFORE_SCREEN, -math.pi / 2)
    run(simulation, TIMESTEP)
    put(simulation, *BEFORE_SCREEN, math.pi / 2)
    run(simulation, 0.5)
    assert flicker(simulation) == 0.0


def test_walls_keep_the_screen_off() -> None:
    simulation = Simulation(OneScreen(pool=4, switch_on_s=0.1), SIDE, 0)
    put(simulation, 2.0, 26.0, math.atan2(EAST_ALLEY_END[0] - 2.0, EAST_ALLEY_END[1] - 26.0))
    run(simulation, 1.0)
    screen = simulation.scene_state.texture_index["screen_off"]
    simulation.frame()
    assert simulation.scene_state.panels[0] == screen


NOISES = {
    "blackout": (lambda zone: Blackout(blackouts_per_minute=1800.0, seconds=1.0, zone=zone)),
    "white_noise": (lambda zone: WhiteNoise(zone=zone)),
    "flicker": (lambda zone: Flicker(stills=2, density=1.0, zone=zone)),
    "block_noise": (lambda zone: BlockNoise(density=1.0, zone=zone)),
}


@pytest.mark.parametrize("name", sorted(NOISES))
def test_noise_stays_in_its_zone(name: str) -> None:
    simulation = Simulation(NOISES[name]([-5.0, 30.0, 5.0, 40.0]), SIDE, 0)
    truth = Simulation(Street(), SIDE, 0)
    for world in (simulation, truth):
        put(world, 0.0, 25.0)
        run(world, 1.0)
    assert (simulation.frame() == truth.frame()).all()
    assert flicker(simulation) == 0.0
    for world in (simulation, truth):
        put(world, 0.0, 36.0)
        run(world, 0.1)
    assert (simulation.frame() != truth.frame()).mean() > 0.5
    assert flicker(simulation) == 1.0


def test_block_noise_covers_its_share() -> None:
    simulation = Simulation(BlockNoise(density=0.3, images_per_second=30.0), 72, 0)
    shares = []
    for _ in range(40):
        simulation.step()
        shares.append(flicker(simulation))
    assert np.mean(shares) == pytest.approx(0.3, abs=0.05)


def test_blackouts_last_their_duration() -> None:
    simulation = Simulation(Blackout(blackouts_per_minute=10.0, seconds=1.0), 16, 1)
    dark = []
    for _ in range(1800):
        simulation.step()
        dark.append(simulation.frame().max() == 0)
    starts = np.flatnonzero(np.diff(np.array(dark, int)) == 1)
    assert 3 <= len(starts) <= 20
    assert sum(dark) >= 29 * (len(starts) - 1)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (WhiteNoise, {"strength": 1.5}),
        (BlockNoise, {"blocks": 0}),
        (Flicker, {"stills": 0}),
        (Blackout, {"seconds": 0.0}),
        (WhiteNoise, {"zone": [0.0, 0.0, -1.0, 1.0]}),
        (OneScreen, {"pool": 0}),
        (OneScreen, {"switch_on_s": -1.0}),
    ],
)
def test_impossible_noise_is_refused(kind: type, settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        kind(**settings)
