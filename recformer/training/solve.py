"""Training without steps: a model is solved from the training part, or blended of others; validated once, and kept."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from recformer.checkpoint.info import SOLVED, CheckpointInfo, Provenance
from recformer.checkpoint.weights import write_best
from recformer.data.prepared import Prepared
from recformer.registry import MODELS
from recformer.run.paths import Root
from recformer.training.blending import blended
from recformer.training.heartbeat import Heartbeat
from recformer.training.initialisation import new_model
from recformer.training.loop import Outcome, validate
from recformer.training.request import Request
from recformer.training.tensorboard import TensorBoardWriter


@dataclass(frozen=True)
class Solving:
    """One run that is solved: what it works on and whom it tells."""

    root: Root
    request: Request
    prepared: Prepared
    heartbeat: Heartbeat
    writer: TensorBoardWriter
    should_stop: Callable[[], bool]
    say: Callable[[str], None]

    def run(self, info: CheckpointInfo) -> Outcome:
        """Solve, validate and keep. What is stopped before keeps nothing: it takes as long again.

        Raises as `blended` does, and StoreError when the disk refuses.
        """
        request, config = self.request, self.request.config
        self.heartbeat.update(state="running", phase="solving", steps=1)
        begun = time.monotonic()
        solved = self._solved()
        if solved is None:
            return "stopped"
        model, ancestors = solved
        words, figures = f"solved in {time.monotonic() - begun:,.1f} s", dict[str, float]()
        if config.validates:
            self.heartbeat.update(phase="validating")
            as_read = config.model_copy(update={"window": model.sizes.window})
            validated = validate(model, self.prepared, as_read, request.device, self.should_stop)
            if validated is None:
                return "stopped"
            figures = {"loss/validation": validated[0], **validated[1]}
            self.writer.write(1, figures)
            words += f"  validation {figures['loss/validation']:.4f}  ndcg@10 {figures['metric/ndcg@10']:.4f}"
        options, sizes = model.options.model_dump(mode="json"), asdict(model.sizes)
        engine = SOLVED if type(model).TRAINED_ON == "counts" else ""
        info = replace(info, model=options, sizes=sizes, ancestors=ancestors, epoch=1, metrics=figures, engine=engine)
        write_best(self.root.model(request.run_id), model, info)
        self.heartbeat.update(epoch=1, step=1, metrics=figures)
        self.say(words)
        return "finished"

    def _solved(self) -> tuple[Any, list[Provenance]] | None:
        config, device = self.request.config, self.request.device
        if MODELS.get(config.model.name).TRAINED_ON == "models":
            return blended(self.root, config, self.request.dataset, self.prepared, device, self.should_stop)
        model: Any = new_model(config, self.prepared)
        model.fit(self.prepared)
        return None if self.should_stop() else (model.to(device), [])
