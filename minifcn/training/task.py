"""What a run trains, on what, and how it is scored. segmentation.py and classification.py have the two kinds."""

from pathlib import Path

from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..nn import Module
from ..weights import WeightFile, load_weights
from .settings import Settings


class Task:
    """A data set and a network with its first weights. It is whole before its run has a folder.

    settings, train_set, val_set (None where there is none), model, preprocessing
    title, item, head                  names: of the run, of what has a loss, of the layers that depend on the classes
    scores, score_label                what validation measures, the first chooses best.safetensors; that one's name

    batches() -> Loader                of the training set
    loss(x, labels) -> Tensor          of a batch, summed over what is labelled
    weight(labels) -> float            how much is labelled in a batch: what a mean divides by
    score() -> dict                    the network's scores on the validation set, fractions or None
    meta() -> dict                     what a checkpoint says of the network and its classes
    describe_data() -> str             what it trains on
    finish(run) -> dict                measures and draws what the trained network can do, for metrics.json
    """

    def __init__(self, settings: Settings, train_set, val_set, model: Module, where: str):
        s = self.settings = settings
        self.train_set, self.val_set = train_set, val_set
        if s.batch * s.accumulate > len(train_set):
            raise InputError(
                f"--batch {s.batch} x --accumulate {s.accumulate} is more than the {len(train_set)} training pictures "
                f"of {s.data}; choose smaller ones"
            )
        self.model, self.preprocessing = model.to(where), Preprocessing()

    def initialise(self, file: WeightFile | None = None) -> None:
        """Take over the weights of --init, and the preprocessing that belongs to them.  file: it, if it is open."""
        if self.settings.init is None:
            return
        path = Path(self.settings.init)
        report = load_weights(self.model, path, file)
        if report.preprocessing is None:
            raise InputError(f"{path}: says nothing of its preprocessing; give a checkpoint of a run")
        self.preprocessing = report.preprocessing
        print(f"initialised from {path}:\n{report.table()}\n  preprocessing: {self.preprocessing.describe()}")
        theirs, ours = report.classes, self.train_set.classes
        if report.reinitialised:
            count = "other" if theirs is None else len(theirs)
            print(f"  the file has {count} classes, {self.train_set.name} has {len(ours)}: new {self.head}")
        elif theirs != ours and any(name.startswith(("score", "fc8")) for name in report.loaded):
            names = "not named" if theirs is None else f"others ({', '.join(theirs)})"
            print(f"  NOTE: the file's classes are {names}; kept its {self.head} all the same")

    def describe(self) -> str:
        """What is about to happen, with the figures that users stumble over: learning rate and reduction."""
        s = self.settings
        weights = sum(p.data.size for p in self.model.parameters().values())
        epochs = s.steps / (len(self.train_set) // s.batch // s.accumulate)
        return (
            f"{self.title} ({s.trunk}): {weights:,} weights; {self.model.loops.describe()}\n"
            f"{self.describe_data()}; {s.steps} steps of {s.batch * s.accumulate} = {epochs:.1f} epochs\n"
            f"lr {s.lr:g} ({s.schedule}) on the {s.reduction} of the {self.item}s' losses; momentum {s.momentum}, "
            f"weight decay {s.weight_decay:g}, clip {s.clip:g}; biases lr x 2, no decay"
        )
