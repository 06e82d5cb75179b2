from __future__ import annotations

import numpy as np
import pytest

import agent.worlds.embedded.render.renderer as renderer_module
from agent.worlds.embedded.physics import Body
from agent.worlds.embedded.render.mesh import Mesh, tile_uv
from agent.worlds.embedded.render.renderer import Renderer
from agent.worlds.embedded.scenes.base import Atmosphere, BuiltScene, Scene, Start
from agent.worlds.embedded.scenes.state import CellGrid, SceneState, pose
from agent.worlds.embedded.simulation import Simulation
from tests.agent.worlds.embedded.conftest import scene_named

SIDE = 64
CLEAR = Atmosphere(zenith=(10, 20, 30), fog_start=1000.0, fog_end=2000.0)


def plain(red: int, green: int, blue: int) -> np.ndarray:
    image = np.empty((16, 16, 4), np.uint8)
    image[:] = (red, green, blue, 255)
    return image


def halves() -> np.ndarray:
    """Left half red, right half blue."""
    image = plain(200, 0, 0)
    image[:, 8:] = (0, 0, 200, 255)
    return image


IMAGES = {
    "red": plain(200, 0, 0),
    "green": plain(0, 200, 0),
    "halves": halves(),
    "hole": np.concatenate([plain(200, 0, 0)[:8], np.zeros((8, 16, 4), np.uint8)]),
}


def draw(mesh: Mesh, atmosphere: Atmosphere = CLEAR, poses: np.ndarray | None = None) -> np.ndarray:
    """Look along +y from the eye at (0, 0, 1.6)."""
    built = BuiltScene(
        mesh, IMAGES, (-50.0, -50.0, 50.0, 50.0), Start(0.0, 0.0), atmosphere=atmosphere
    )
    renderer = Renderer(built, SIDE, SIDE, 90.0)
    if poses is None:
        poses = np.repeat(np.eye(3, 4, dtype=np.float32)[None], mesh.part_count, axis=0)
    scene_state = SceneState(
        seed=0, step=0, body=Body(0.0, 0.0, 0.0), solids=np.zeros((0, 4)),
        bounds=np.array([built.bounds]), cells=CellGrid(0, 0, 1), poses=poses,
        panels=np.zeros(mesh.panel_count, np.int32),
        flickering=np.ones(mesh.panel_count, np.bool_),
        atlas=renderer.atlas, texture_index=renderer.texture_index,
    )  # fmt: skip
    return renderer.draw(scene_state)[0]


def wall(mesh: Mesh, texture: str, y: float, half: float = 1.0, **more: object) -> None:
    mesh.wall(-half, half, 1.6 - half, 1.6 + half, texture, 1.0, y=y, **more)  # type: ignore[arg-type]


def test_wall_covers_its_projected_area() -> None:
    mesh = Mesh()
    wall(mesh, "red", y=2.0)
    red = draw(mesh)[0] == 200
    # Half as large as it is far: with 90 degrees it spans half the picture.
    expected = np.zeros((SIDE, SIDE), bool)
    expected[SIDE // 4 : 3 * SIDE // 4, SIDE // 4 : 3 * SIDE // 4] = True
    assert (red == expected).all()


def test_empty_pixels_have_the_zenith_colour() -> None:
    mesh = Mesh()
    wall(mesh, "red", y=2.0)
    assert draw(mesh)[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("near_first", [True, False])
def test_nearer_wall_occludes_the_farther(near_first: bool) -> None:
    mesh = Mesh()
    for texture, y in (("red", 2.0), ("green", 4.0))[:: 1 if near_first else -1]:
        wall(mesh, texture, y, half=1.0 if texture == "red" else 6.0)
    picture = draw(mesh)
    assert picture[:, SIDE // 2, SIDE // 2].tolist() == [200, 0, 0]
    assert picture[:, 0, 0].tolist() == [0, 200, 0]


def test_back_faces_are_culled() -> None:
    mesh = Mesh()
    wall(mesh, "red", y=-2.0)
    mesh.wall(1.0, -1.0, 0.6, 2.6, "green", 1.0, y=2.0)
    assert (draw(mesh) == np.array([10, 20, 30]).reshape(3, 1, 1)).all()


def test_textures_are_upright_and_not_mirrored() -> None:
    mesh = Mesh()
    wall(mesh, "halves", y=2.0)
    row = draw(mesh)[:, SIDE // 2]
    assert row[0, SIDE // 2 - 4] == 200 and row[2, SIDE // 2 - 4] == 0
    assert row[0, SIDE // 2 + 4] == 0 and row[2, SIDE // 2 + 4] == 200


def test_transparent_texels_show_what_is_behind() -> None:
    mesh = Mesh()
    wall(mesh, "hole", y=2.0)
    wall(mesh, "green", y=4.0, half=6.0)
    column = draw(mesh)[:, :, SIDE // 2]
    assert column[0, SIDE // 2 - 6] == 200
    assert column[1, SIDE // 2 + 6] == 200


def test_perspective_is_correct_on_a_slanted_wall() -> None:
    mesh = Mesh()
    corners = ((-2.0, 2.0, 0.0), (2.0, 6.0, 0.0), (2.0, 6.0, 3.2), (-2.0, 2.0, 3.2))
    mesh.quad(corners, "halves", 1.0, tile_uv())
    row = draw(mesh)[:, SIDE // 2]
    # The middle of the wall is at x = 0, y = 4: in the middle of the view.
    edge = int(np.flatnonzero(row[2] == 200)[0])
    assert abs(edge - SIDE // 2) <= 1


def test_fog_increases_with_distance() -> None:
    mesh = Mesh()
    wall(mesh, "red", y=20.0, half=30.0)
    atmosphere = Atmosphere(zenith=(0, 0, 0), fog=(100, 100, 100), fog_start=10.0, fog_end=30.0)
    red, green, _ = draw(mesh, atmosphere)[:, SIDE // 2, SIDE // 2]
    assert red == pytest.approx(150, abs=3) and green == pytest.approx(50, abs=3)


def test_triangles_clipped_by_the_near_plane_are_drawn() -> None:
    mesh = Mesh()
    mesh.floor(-5.0, -5.0, 5.0, 5.0, 0.0, "green", 1.0)
    picture = draw(mesh)
    assert (picture[1, SIDE - 4 :] == 200).all()
    assert (picture[1, : SIDE // 2] == 20).all()


def test_part_follows_its_pose() -> None:
    mesh = Mesh()
    with mesh.part() as part:
        mesh.wall(-0.5, 0.5, 0.0, 1.0, "red", 1.0)
    poses = np.stack([pose(0, 0, 0), pose(2.0, 4.0, 1.1)])
    red = draw(mesh, poses=poses)[0] == 200
    rows, columns = np.nonzero(red)
    assert part == 1
    assert columns.mean() == pytest.approx(SIDE / 2 * (1 + 2 / 4), abs=1.0)
    assert rows.mean() == pytest.approx(SIDE / 2, abs=1.0)


def test_panels_count_as_flickering() -> None:
    mesh = Mesh()
    corners = ((-1.0, 2.0, 0.6), (1.0, 2.0, 0.6), (1.0, 2.0, 2.6), (-1.0, 2.0, 2.6))
    mesh.quad(corners, "red", 1.0, panel=mesh.panel())
    built = BuiltScene(
        mesh, IMAGES, (-9.0, -9.0, 9.0, 9.0), Start(0.0, 0.0), atmosphere=CLEAR, panels=["green"]
    )

    class Given(Scene):
        def build(self, seed: int) -> BuiltScene:
            return built

    simulation = Simulation(Given(), SIDE, 0, field_of_view=90.0)
    assert simulation.frame()[1, SIDE // 2, SIDE // 2] == 200
    share = simulation.info_names.index("flicker_share")
    assert simulation.info()[share] == 0.0
    simulation.scene_state.flickering[:] = True
    simulation.frame()
    assert simulation.info()[share] == pytest.approx(0.25)


@pytest.mark.parametrize("bad", [{"field_of_view": 0.5}, {"supersample": 5}, {"size": (0, 9)}])
def test_impossible_views_are_refused(bad: dict[str, object]) -> None:
    settings = {"size": 16, "seed": 0} | bad
    with pytest.raises(ValueError):
        Simulation(scene_named("food_room"), **settings)  # type: ignore[arg-type]


def test_occlusion_culling_does_not_change_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Farthest first nothing is ever skipped as hidden, so skipping must not be seen either."""
    near_first = Simulation(scene_named("street"), 96, 0)
    far_first = Simulation(scene_named("street"), 96, 0)
    distances = renderer_module.chunk_distances
    for x, y, heading in ((0.0, 26.0, 0.3), (2.0, 30.0, 1.6), (-3.0, 60.0, 3.0), (7.0, 12.5, -2.0)):
        pictures = []
        for simulation, sign in ((near_first, 1.0), (far_first, -1.0)):
            body = simulation.scene_state.body
            body.x, body.y, body.heading = x, y, heading
            monkeypatch.setattr(
                renderer_module, "chunk_distances", lambda *a, sign=sign: sign * distances(*a)
            )
            pictures.append(simulation.frame().astype(int))
        # Runs of pixels begin elsewhere, so texels may be neighbours; surfaces that touch may come
        # out either way.
        difference = np.abs(pictures[0] - pictures[1])
        assert difference.mean() < 0.5
        assert (difference > 40).mean() < 4e-3
