"""Choose, show and label batch after batch of your own pool, in a notebook or a web page."""

from collections.abc import Callable, Sequence
from math import inf
from threading import Lock
from time import monotonic
from typing import Any

import numpy as np

from ialelib.labelling.checks import check_classes, check_images, check_known
from ialelib.labelling.store import LabelStore
from ialelib.labelling.view import LabelView, buttons, draw_curve, picture, shown_size
from ialelib.utils.checks import check_indices
from ialelib.utils.errors import InputError

Indices = Sequence[int] | np.ndarray
Choose = Callable[[np.ndarray, np.ndarray], Indices]
Score = Callable[[np.ndarray, np.ndarray], float]
MESSAGE_SECONDS = 5
BUSY = {"score": "Measuring accuracy", "choose": "Choosing the next batch"}


class Labeller:
    """A pool, its label store and the widget that shows the current batch.

    Show it by naming it, or `labeller.widget`, at the end of a cell. After a kernel restart the
    same cell resumes the same batch, or chooses another where none of it was labelled. What goes
    wrong while it is in use is shown in the widget, which stays usable; `failure` then holds the
    exception.

    Args:
        images_N: uint8, N x H x W or N x H x W x 3.
        classes: the names of the classes, as in the store.
        store: where labels, batches and scores are kept.
        choose: from labelled indices and their labels (class indices), both int64 of length L,
            to the indices of the images to label next, the best first; at most `batch` of them
            are shown, without those skipped. It is not called when no more than `batch` are left.
        score: from the same to the accuracy, 0 to 1, on a held-out set.
        batch: images at a time.
        labelled, labels: indices and classes known before the first batch.

    Raises:
        InputError: images of another kind; classes, images or known labels that do not fit the
            store or each other; a batch below 1.
    """

    def __init__(
        self,
        images_N: np.ndarray,
        classes: Sequence[str],
        store: LabelStore,
        choose: Choose,
        score: Score | None = None,
        batch: int = 10,
        labelled: Indices = (),
        labels: Indices = (),
    ) -> None:
        check_images(images_N)
        if check_classes(classes) != store.classes:
            raise InputError(f"classes are not those of the store: {', '.join(store.classes)}")
        if batch < 1:
            raise InputError(f"a batch must hold at least one image, not {batch}")
        self._known = check_known(labelled, labels, len(images_N), len(store.classes))
        taken = [*store.labelled, *(store.batch if store.events else ())]
        if len(again := np.intersect1d(self._known[0], taken)):
            raise InputError(f"image {again[0]} is in the store and among those known before")
        store.bind(images_N)
        self._images_N, self.store = images_N, store
        self._choose, self._score, self._batch = choose, score, batch
        self.failure: Exception | None = None
        self._busy, self._note, self._at = "", "", store.number
        self._messages = dict[str, float]()
        self._done: dict[str, int] = {}
        self._early: dict[tuple[str, int], dict[str, Any]] = {}
        self._lock = Lock()
        self.widget = LabelView(classes=buttons(store.classes), size=shown_size(images_N.shape[1:]))
        self.widget.on_msg(self._receive)
        if not store.events:
            self._guarded(self._continue)
        self._at = store.number  # the batch that is shown, which may be an earlier one
        self._busy = ""
        self._show()

    @property
    def labelled(self) -> np.ndarray:
        """Indices of all labelled images, those known before first."""
        return np.concatenate([self._known[0], self.store.labelled])

    @property
    def labels(self) -> np.ndarray:
        """Class indices of `labelled`, int64."""
        return np.concatenate([self._known[1], self.store.labels])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def _receive(self, _widget: LabelView, content: dict[str, Any], _buffers: object) -> None:
        # JupyterLab hands on the first messages in one thread and later ones in another, so a
        # message may overtake the one before it.
        with self._lock:
            view = content["view"]
            self._early[view, content["step"]] = content
            while early := self._early.pop((view, self._done.get(view, 0) + 1), None):
                self._take(early)

    def _take(self, content: dict[str, Any]) -> None:
        # A message stays for a while though the reader types on.
        stale = inf if content.get("kind") == "next" else monotonic() - MESSAGE_SECONDS
        self._messages = {text: at for text, at in self._messages.items() if at > stale}
        self._note = ""
        try:
            self._guarded(self._obey, content)
        finally:
            self._busy = ""
            self._done = {**self._done, content["view"]: content["step"]}
            self._show()

    def _guarded(self, act: Callable[..., Any], *arguments: Any, user: str = "") -> Any:
        """What a function returns, or None where it fails, and the widget says why.

        `user` names one of the user's own: whatever that raises is shown in the widget.
        """
        if user:
            self._busy = BUSY[user]
            self._show()
        try:
            return act(*arguments)
        except Exception as error:
            ours = isinstance(error, InputError)
            if not ours and not user:
                raise
            self._say(
                str(error) if ours else f"{user}() failed with {type(error).__name__}: {error}"
            )
            self.failure = error
        return None

    def _obey(self, content: dict[str, Any]) -> None:
        match content:
            case {"kind": "label", "index": index, "class": class_}:
                self.store.label(index, class_, bool(content.get("unsure")))
            case {"kind": "skip", "index": index}:
                self.store.skip(index)
            case {"kind": "undo", "index": index}:
                self.store.undo(index)
            case {"kind": "show", "batch": number} if number in range(1, self.store.number + 1):
                self._at = number
            case {"kind": "export"}:
                path = self.store.path.with_suffix(".csv")
                self.store.export(path)
                self._note = f"{len(self.store.labelled)} labels are in {path}"
            case {"kind": "next", "batch": number} if number == self.store.number:
                if left := self.store.unlabelled:
                    raise InputError(f"{left} images of this batch have no label yet")
                self._continue()
                self._at = self.store.number

    def _continue(self) -> None:
        labelled, labels = self.labelled, self.labels
        if not self.store.unlabelled:
            self._measure(labelled, labels)
        done = np.concatenate([labelled, self.store.skipped])
        rest = np.setdiff1d(np.arange(len(self._images_N)), done)
        if 0 < len(rest) < self._batch:
            self._say(f"Only {len(rest)} images are left; they are the whole batch.")
        if len(rest) > self._batch:
            rest = self._guarded(self._chosen, labelled, labels, rest, user="choose")
        if rest is not None and len(rest):
            self.store.propose(rest)

    def _chosen(self, labelled: np.ndarray, labels: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """The first images that choose() returns, as many as a batch has."""
        chosen = self._choose(labelled, labels)
        indices = check_indices("choose()'s batch", chosen, len(self._images_N))
        if not indices.size:
            raise InputError("choose() returned no image")
        indices = indices[~np.isin(indices, self.store.skipped)][: self._batch]
        if len(again := np.intersect1d(indices, labelled)):
            raise InputError(f"choose() returned image {again[0]}, which is labelled already")
        if not indices.size:
            self._say("choose() returned skipped images only; the pool's first others are shown.")
            return rest[: self._batch]
        return indices

    def _measure(self, labelled: np.ndarray, labels: np.ndarray) -> None:
        score = self._score
        measured = (self.store.scores["batch"] == self.store.number).any()
        if score is None or measured or not len(labels):
            return
        accuracy = self._guarded(lambda: float(score(labelled, labels)), user="score")
        if accuracy is not None:
            self._guarded(self.store.score, len(labels), accuracy)

    def _say(self, message: str) -> None:
        self._messages.setdefault(message, monotonic())

    def _show(self) -> None:
        with self.widget.hold_sync():  # the page must never see half of a change
            self._guarded(self._show_kept)
            said = {"busy": self._busy, "messages": [*self._messages], "done": self._done}
            said["note"] = self._note
            self.widget.state = {**self.widget.state, **said}

    def _show_kept(self) -> None:
        """What the store holds; pictures are sent only when the batch has changed."""
        store, number = self.store, self.store.number
        batch, scores = store.images_in(self._at), store.scores
        if batch != [image["index"] for image in self.widget.images]:
            self.widget.images = [picture(index, self._images_N[index]) for index in batch]
        self.widget.curve = draw_curve(scores) if self._score else ""
        table = store.table
        total = len(self._known[0]) + len(table)
        kept = {"number": self._at, "latest": number, "events": store.events_in(self._at)}
        kept |= {"total": total, "unsure": table["index"][table["unsure"]].tolist()}
        kept["finished"] = total + len(store.skipped) == len(self._images_N)
        kept["measured"] = self._score is None or number in scores["batch"].to_numpy()
        self.widget.state = {**self.widget.state, **kept}
