"""What is to be known of a simulation before it is played: games that cannot be meant, and worlds that teach little."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwds.errors import ConfigError
from hwds.frames.world import World
from hwds.protocols.simulating import Game

WORTH_SAYING = 0.9
"""Share of conversions below which it is told how many are ever seen."""


def check_batch(world: World, game: Game, own: bool) -> None:
    """Refuse a batch that ends after the game: no policy would ever learn.

    Args:
        world: Where it is played.
        game: How.
        own: Whether the batch is the protocol's, not the world's.

    Raises:
        ConfigError: The batch is longer than the horizon.
    """
    if game.batch > game.horizon:
        path, instead = ("protocol.batch", "") if own else ("dataset.batch", "; protocol.batch replaces it")
        raise ConfigError(f"{path}: must be <= the {game.horizon:,} steps that are played, got {game.batch}{instead}.")


def remarks(world: World, game: Game) -> Iterator[str]:
    """What a user would want to be told of this world, played so; one sentence each."""
    yield from _late(world, game)
    steps = world.moments(game.horizon)
    never = [arm for arm, there in zip(world.arms, (steps @ world.present), strict=True) if not there]
    if never:
        yield f"{', '.join(never)}: never on offer in the {game.horizon:,} steps that are played."
    if world.changes and world.starts[1] >= game.horizon:
        yield f"The world stands still: it changes first at step {world.starts[1]:,} and {game.horizon:,} are played."
    worst = np.where(world.present[:, None, :], world.rewards, np.inf).min(axis=2)[steps > 0]
    best = world.best[steps > 0]
    if (best <= 0).all():
        yield "No arm earns anything: there is no share of the best to lose."
    elif np.allclose(best, worst):
        yield "All arms on offer are worth the same: no policy can lose anything."


def _late(world: World, game: Game) -> Iterator[str]:
    """What is learned too late, or not at all."""
    seen = seen_share(world)
    if seen < WORTH_SAYING:
        yield (
            f"{100 * seen:.2g} % of conversions are ever seen: they come after {world.delay:g} steps on average"
            f" (dataset.delay) and are waited for {world.window:,} (dataset.window); the others count as refused."
        )
    if world.delay and world.window >= game.horizon:
        yield f"No refusal is ever seen: it takes {world.window:,} steps (dataset.window) and {game.horizon:,} are played."
    if world.window and not world.delay:
        yield "dataset.window is not used: dataset.delay is 0, so all is seen at once."
    if game.horizon > 1 and game.batch == game.horizon:
        yield f"Nothing is learned: the first outcomes are seen after a batch of {game.batch:,}, with which the game ends."


def seen_share(world: World) -> float:
    """The share of conversions that come within the window: a delay is geometric, 0 or more steps."""
    if not world.delay:
        return 1.0
    return float(1.0 - (world.delay / (1.0 + world.delay)) ** (world.window + 1))
