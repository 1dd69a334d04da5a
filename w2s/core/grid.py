"""What a grid asks for: the blocks that have cells, their tasks, and the models that a method's labels pass through.

Apart from the schema in `params`, since these functions decide what is computed.
"""

from itertools import pairwise

from w2s.core.params import Block, Grid, Method


def setting_blocks(grid: Grid) -> dict[str, Block]:
    """The blocks that have cells, by setting."""
    blocks = {"classification": grid.classification, "preference": grid.preference, "generation": grid.generation}
    return {setting: block for setting, block in blocks.items() if block.tasks}


def task_blocks(grid: Grid) -> dict[str, Block]:
    """Every task of the grid, with its block."""
    return {task: block for block in setting_blocks(grid).values() for task in block.tasks}


def ceiling_method(block: Block, method: str) -> str:
    """The method of the ceiling that students by `method` are compared with."""
    return method if method in block.ceilings else block.ceilings[0]


def intermediate_models(grid: Grid, method: Method, weak: str, strong: str) -> list[str]:
    """The models that learn and pass on a method's labels, after the supervisor and before the final student.

    Raises `ValueError` where these models do not rise in the ladder.
    """
    models: list[str] = []
    if method.via:
        place = {model: index for index, model in enumerate(grid.ladder)}
        models = grid.ladder[place[weak] + 1 : place[strong]] if method.via == "between" else method.via
        path = [weak, *models, strong]
        for lower, higher in pairwise(path):
            if higher not in place or place[lower] >= place[higher]:
                ladder = ", ".join(grid.ladder)
                raise ValueError(f"the path {' → '.join(path)} must rise in grid.ladder, which is {ladder}")
    return models + [strong] * (method.rounds - 1)
