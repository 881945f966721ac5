"""The policy as a pool query strategy of scikit-activeml."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skactiveml.base import SingleAnnotatorPoolQueryStrategy
from skactiveml.utils import MISSING_LABEL, is_labeled, simple_batch
from typing_extensions import override

from ialelib.features import misfit
from ialelib.generalist import Generalist, shortlist
from ialelib.inference import adapt, selection
from ialelib.inference.outputs import Classify, Outputs
from ialelib.policy import GENERALIST, AnyPolicy, load_policy
from ialelib.utils.checks import check_count, check_list
from ialelib.utils.cpu import float32_on_cpu
from ialelib.utils.errors import InputError, InputTypeError


class LearnedPolicy(SingleAnnotatorPoolQueryStrategy):  # type: ignore[misc]
    """Choose what to label by a policy that has learned it (Sec. 3.2).

    The generalist, which is the default, chooses one sample after the other: the utilities of each
    pick are its scores given the batch so far, NaN off its shortlist of 4,000. Those of other
    policies are the log-odds of their scores; they choose from a random sub-pool of 10 to 100 times
    the batch (Sec. 4.5).

    Without `candidates` the classifier sees every unlabelled image: give some, or wrap the strategy
    in scikit-activeml's `SubSamplingWrapper`. Scores are relative to the candidates of one call: do
    not compare those of chunks, as its `ParallelUtilityEstimationWrapper` does.

    While nothing is labelled, all utilities are equal: the batch is random.

    `policy` is a trained policy, by name or file or itself, and no strategy; `layer`, `preprocess`
    and `passes` are as in `ialelib.next_batch`. `classes` are the labels in the order of the
    classifier's logits (default: 0 to C - 1). `missing_label` stands for a missing label.
    `random_state` is of the order of equal scores.
    """

    def __init__(
        self,
        policy: str | Path | AnyPolicy = "auto",
        layer: str | None = None,
        preprocess: selection.Preprocess | None = None,
        classes: Sequence[Any] | None = None,
        missing_label: Any = MISSING_LABEL,
        random_state: Any = None,
        passes: int = 1,
    ) -> None:
        self.policy = policy
        self.layer = layer
        self.preprocess = preprocess
        self.classes = classes
        self.passes = passes
        super().__init__(missing_label=missing_label, random_state=random_state)

    @override
    def query(
        self,
        X: Any,
        y: Any,
        clf: Classify,
        candidates: Any = None,
        batch_size: int = 1,
        return_utilities: bool = False,
    ) -> Any:
        """Which candidates are to be labelled next, best first; as scikit-activeml has it.

        `X`: images, labelled and unlabelled, n_samples x ...; `y`: their labels, `missing_label`
        where there is none; `clf`: a trained torch module that gives logits, or a function that
        gives (logits, embedding). `candidates`: indices into `X`, a mask over it or samples of
        their own; default: all unlabelled of `X`. With `return_utilities` comes an array,
        batch_size x n_samples or n_candidates, that is NaN for no candidate and for one chosen
        before.

        Raises:
            InputError: as `ialelib.next_batch`.
        """
        if candidates is not None:  # scikit-activeml would take a mask for zeros and ones
            candidates = selection.unmasked(candidates, len(y))
        X, y, candidates, batch_size, return_utilities = self._validate_data(
            X, y, candidates, batch_size, return_utilities
        )
        offered, mapping = self._transform_candidates(candidates, X, y, allow_only_unlabeled=True)
        check_count("passes", self.passes)
        known = is_labeled(y, self.missing_label_)
        trained = load_policy(GENERALIST if self.policy == "auto" else self.policy)
        labels_L = self._codes(y[known])
        places = np.arange(len(offered)) if mapping is None else mapping
        utilities = np.full(len(offered) if mapping is None else len(X), np.nan)
        if not known.any():
            utilities[places] = 0
            return simple_batch(utilities, self.random_state_, batch_size, return_utilities)
        how = self.layer, self.preprocess
        labelled = selection.Classified(clf, X, *how).outputs(np.flatnonzero(known))
        selection.check_labels(labels_L, labelled)
        selection.check_fit(trained, labelled, labels_L)
        asked = selection.Classified(clf, offered, *how).outputs(
            np.arange(len(offered)), self.passes
        )
        if isinstance(trained, Generalist):
            picked = self._picked(trained, asked, labelled, labels_L, batch_size)
            chosen_A, some_S, score_A_S = picked
            if not return_utilities:
                return places[chosen_A]
            score_A_N = np.tile(utilities, (batch_size, 1))
            score_A_N[:, places[some_S]] = score_A_S
            return places[chosen_A], score_A_N
        with float32_on_cpu():
            state = adapt.adapted(selection.state_of(asked, labelled, labels_L), trained)
            utilities[places] = trained.log_odds(state).numpy()
        return simple_batch(utilities, self.random_state_, batch_size, return_utilities)

    @float32_on_cpu()
    def _picked(
        self,
        generalist: Generalist,
        asked: Outputs,
        labelled: Outputs,
        labels_L: np.ndarray,
        acq: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions of the batch and of the shortlist, and the scores of the shortlist, A x S."""
        rng = np.random.default_rng(self.random_state_.randint(2**31))
        probs_N_C = asked.logits_N_C.softmax(1)
        some_S = shortlist(probs_N_C.__getitem__, len(probs_N_C), acq, rng)
        offered = probs_N_C[some_S], asked.embedding_N_D[some_S]
        known = labelled.embedding_N_D, torch.from_numpy(labels_L)
        missed = misfit(labelled.logits_N_C, known[1])
        chosen_A, score_A_S = generalist.pick(*offered, *known, acq, rng, missed)
        return some_S[chosen_A], some_S, score_A_S.numpy()

    def _codes(self, labels_L: np.ndarray) -> np.ndarray:
        """Positions of labels among the classes, L whole numbers."""
        if not len(labels_L):
            return np.array([], np.int64)
        if self.classes is None:
            labels_L = np.array(labels_L.tolist())  # an array of objects may hold numbers
            if not np.issubdtype(labels_L.dtype, np.number):
                raise InputError(
                    "labels that are no numbers must be named in `classes`, in the order of the "
                    "classifier's logits"
                )
            codes_L = labels_L.astype(np.int64)
            if (codes_L != labels_L).any() or codes_L.min() < 0:
                raise InputError("labels must be 0 to C - 1, or named in `classes`")
            return codes_L
        if isinstance(self.classes, str) or not isinstance(self.classes, Collection):
            raise InputTypeError(f"`classes` must be a list of labels, not {self.classes!r}")
        check_list("classes", self.classes)
        try:
            places = {label: place for place, label in enumerate(self.classes)}
        except TypeError:
            raise InputTypeError(f"`classes` must be labels, not {self.classes!r}") from None
        if len(places) < len(self.classes):
            raise InputError("`classes` holds a label twice")
        strange = sorted(set(labels_L.tolist()) - set(places), key=str)
        if strange:
            raise InputError(f"labels {strange[:5]} are not among the classes")
        return np.array([places[label] for label in labels_L.tolist()])
