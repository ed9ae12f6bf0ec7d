"""The same job on a Ray cluster: actors that load the model once and answer rows, wherever they run.

Ray runs the rows of an actor that died again on another (Moritz et al. 2018); what comes out is written down here, in one
place, so that no row is there twice. `--model` must be a name or a path that every machine knows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

from dgemma_constrain.batch.rows import Job, Row
from dgemma_constrain.batch.write import lines

LARGEST_NUMBER_OF_BLOCKS = 5000  # Ray's scheduler looks at every block; a block is the most that is done again


class Writer:
    """An actor."""

    def __init__(self, job: Job):
        self.job, self.model = job, job.load()

    def __call__(self, batch: dict) -> dict:
        import numpy as np

        rows = [Row(int(n), bytes(raw), str(key)) for n, raw, key in zip(batch["number"], batch["raw"], batch["key"])]
        found = lines(self.job, self.model, rows)
        return {"number": batch["number"], "line": np.array(found, object)}


def on_ray(job: Job, rows: list[Row], size: int, workers: int | None) -> Iterator[list[tuple[Row, str]]]:
    """The lines of a few rows at a time, in the order in which actors finish them.

    On the cluster that RAY_ADDRESS or `ray start` names, else on one that is started here. workers: actors; without it one
    for each GPU, or for each machine where there are none.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning about what we don't use
    import ray

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        gpus = int(ray.cluster_resources().get("GPU", 0))
        workers = workers or gpus or len(ray.nodes())
        by_number = {row.number: row for row in rows}
        blocks = min(-(-len(rows) // size), LARGEST_NUMBER_OF_BLOCKS)
        table = ray.data.from_items([row._asdict() for row in rows], override_num_blocks=blocks)
        answered = table.map_batches(
            Writer, fn_constructor_args=(job,), batch_size=size, num_gpus=1 if gpus else 0,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )  # fmt: skip
        for batch in answered.iter_batches(batch_size=None, prefetch_batches=0):
            yield [(by_number[int(n)], str(line)) for n, line in zip(batch["number"], batch["line"])]
    finally:
        if started:
            ray.shutdown()
