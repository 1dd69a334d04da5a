"""What a grid asks for: the blocks that have cells, and their tasks.

Apart from the schema in `params`, since these functions decide what is computed.
"""

from w2s.core.params import Block, Grid


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
