"""Logits and embedding of any torch classifier, by a forward hook on its softmax layer."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn

from ialelib.experts import dropouts, dropping
from ialelib.models import Classifier
from ialelib.utils.errors import InputError, InputTypeError
from ialelib.utils.seeds import derive

Classify = nn.Module | Callable[[Tensor], tuple[Tensor, Tensor]]
"""A torch classifier that returns logits, or any function that returns (logits, embedding).

The logits of a classifier may be in a dict or an object, as `logits`, or the only N x C tensor of a
tuple."""

NAME_IT = "name the layer whose input is the embedding in `layer`"
HIDDEN = "of a classifier that was traced, scripted or exported give the original"
LOCK = RLock()
SEED = 0
"""Of the dropout masks of several passes."""
TINIEST = 1e-30
"""Least mean probability of several passes, as all of a class's may be too small for a number."""


@dataclass(frozen=True)
class Outputs:
    """A classifier's outputs for N images: float32 on the CPU.

    `head_weight_C_D` are the weights of the softmax layer, or None where they are not known.
    """

    logits_N_C: Tensor
    embedding_N_D: Tensor
    head_weight_C_D: Tensor | None


@dataclass(frozen=True)
class Call:
    """One run of a layer: what went in and what came out."""

    layer: nn.Module
    taken: Any
    given: Any


def outputs_of(
    classifier: Classify, batches: Iterable[Tensor], layer: str | None = None, passes: int = 1
) -> Outputs:
    """Logits and embeddings of all batches, in evaluation mode and without gradients (Sec. 3.2).

    The embedding is the input of the last `nn.Linear` whose output are the logits (a log-softmax
    may follow), or of the module that `layer` names as `named_modules` does. Batches
    go to the classifier's own device and number type. Its mode, gradients and hooks are
    restored, also after an error. A compiled one runs as it was before, as no hook sees compiled
    layers. One thread at a time is served.

    With more than one of `passes` the logits are the logarithms of the mean probabilities of so
    many with dropout (Gal et al. 2017), the same for the same batches; the embedding is without.

    Raises:
        InputError: no such layer, or one that ran several times; an output that is not N x C
            logits, or of several tensors that may be; NaN or infinite values; no images; several
            passes of a classifier without dropout layers, or of a function.
    """
    classifier = original(classifier)
    if isinstance(classifier, nn.Module):
        with _alone(), _watching(classifier, layer) as calls, _evaluating(classifier):
            _check_passes(classifier, passes)
            seen = [
                _see(classifier, batch, calls, layer, passes, number)
                for number, batch in enumerate(batches)
            ]
    elif not callable(classifier):
        raise InputTypeError(
            f"a classifier is a torch module or a function, not {type(classifier).__name__}"
        )
    elif passes > 1:
        raise InputError("a function as classifier averages its passes itself: leave `passes` at 1")
    elif layer is None:
        seen = [_pair(classifier(batch), len(batch)) for batch in batches]
    else:
        raise InputError("`layer` names a module of a torch classifier, not of a function")
    if not seen:
        raise InputError("there are no images to classify")
    logits_N_C = torch.cat([piece.logits_N_C for piece in seen])
    embedding_N_D = torch.cat([piece.embedding_N_D for piece in seen])
    if not embedding_N_D.isfinite().all():
        raise InputError("the classifier's embeddings hold NaN or infinite values")
    return Outputs(logits_N_C, embedding_N_D, seen[0].head_weight_C_D)


def original(classifier: Classify) -> Classify:
    """What `torch.compile` was given; all else as it is."""
    return getattr(classifier, "_orig_mod", classifier)


@contextmanager
def _alone() -> Iterator[None]:
    """No other thread in the block, as hooks and modes are the classifier's; nothing compiled."""
    # To import the compiler takes seconds; without it nothing was compiled.
    compiler = "torch._dynamo" in sys.modules
    with LOCK, torch.compiler.set_stance("force_eager") if compiler else nullcontext():
        yield


@contextmanager
def _evaluating(classifier: nn.Module) -> Iterator[None]:
    """Evaluation mode, without gradients."""
    modes = [(module, module.training) for module in classifier.modules()]
    try:
        classifier.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _watching(classifier: nn.Module, layer: str | None) -> Iterator[list[Call]]:
    """The runs of the layer, or of all linear ones, in their order."""
    calls: list[Call] = []

    def note(module: nn.Module, taken: Any, keywords: dict[str, Any], given: Any) -> None:
        calls.append(Call(module, next(iter((*taken, *keywords.values())), None), given))

    with ExitStack() as hooks:
        for module in _watched(classifier, layer):
            hooks.enter_context(module.register_forward_hook(note, with_kwargs=True))
        yield calls


def _watched(classifier: nn.Module, layer: str | None) -> list[nn.Module]:
    named = dict(classifier.named_modules())
    if layer is None:
        linear: list[nn.Module] = [m for m in named.values() if isinstance(m, nn.Linear)]
        if not linear:
            raise InputError(f"the classifier has no nn.Linear layer; {NAME_IT}; {HIDDEN}")
        return linear
    if not isinstance(layer, str) or layer not in named:
        raise InputError(
            f"the classifier has no layer {layer!r}; its layers: {', '.join(filter(None, named))}"
        )
    return [named[layer]]


def _check_passes(classifier: nn.Module, passes: int) -> None:
    if passes > 1 and not dropouts(classifier):
        raise InputError(
            "`passes` averages over dropout, but the classifier has no layer like nn.Dropout: "
            "leave it at 1"
        )


def _see(
    classifier: nn.Module,
    batch: Tensor,
    calls: list[Call],
    layer: str | None,
    passes: int,
    number: int,
) -> Outputs:
    calls.clear()
    inputs = _moved(batch, classifier)
    given = _given(classifier, inputs)
    if any(call.taken is given for call in calls):
        raise InputError(
            "the classifier gives features beside what it makes of them: let it return the logits "
            "alone, or a dict that has them as `logits`"
        )
    call = _last(calls, given, layer)
    if sum(other.layer is call.layer for other in calls) > 1:
        raise InputError(f"the layer with the embedding ran several times; {NAME_IT}")
    if not isinstance(call.taken, Tensor) or call.taken.shape[:1] != batch.shape[:1]:
        raise InputError(f"the input of layer {layer!r} is not a tensor with a row for each image")
    embedding = call.taken.flatten(1)
    found = Outputs(_plain(given), _plain(embedding), _weight(call, given, embedding))
    if passes == 1:
        return found
    with dropping(classifier, derive(SEED, "passes", number)):
        each = [_plain(_given(classifier, inputs)).softmax(1) for _ in range(passes)]
    return replace(found, logits_N_C=torch.stack(each).mean(0).clamp(min=TINIEST).log())


def _given(classifier: nn.Module, inputs: Tensor) -> Tensor:
    """The logits of one pass."""
    output = classifier(inputs)
    return _logits(output[0] if isinstance(classifier, Classifier) else output, len(inputs))


def _moved(batch: Tensor, classifier: nn.Module) -> Tensor:
    """The batch on the classifier's device, and floating numbers in its number type."""
    for weight in classifier.parameters():
        if weight.is_floating_point():
            return batch.to(weight.device, weight.dtype if batch.is_floating_point() else None)
    return batch


def _logits(output: Any, count: int) -> Tensor:
    """The logits in a classifier's output: it, what it calls `logits`, or its only N x C part."""
    found = _named(output)
    parts = [_named(part) for part in found] if isinstance(found, tuple | list) else [found]
    flat = [x[:, :, 0, 0] if _is_map(x) else x for x in parts if isinstance(x, Tensor)]
    tables = [x for x in flat if x.ndim == 2 and len(x) == count]
    if not tables:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        shape = "a dict without `logits`" if isinstance(found, Mapping) else shape
        raise InputError(f"the classifier must give N x C logits for N = {count}, not {shape}")
    logits = [table for table in tables if table.shape[1] > 1]
    if not logits:
        raise InputError("the classifier gives one logit; a policy needs one for each class")
    if len(logits) > 1:
        shapes = ", ".join(str(tuple(table.shape)) for table in logits)
        raise InputError(
            f"the classifier gives {len(logits)} tensors that may be its logits, {shapes}: let it "
            "return the logits alone, or a dict that has them as `logits`"
        )
    if not logits[0].isfinite().all():
        raise InputError("the classifier's logits hold NaN or infinite values")
    return logits[0]


def _is_map(values: Tensor) -> bool:
    """Whether it is N x C x 1 x 1, as convolutions give logits."""
    return values.ndim == 4 and values.shape[2:] == (1, 1)


def _named(output: Any) -> Any:
    """What a dict or an object calls `logits`, as those of model hubs do; all else as it is."""
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return getattr(output, "logits", output)


def _last(calls: Sequence[Call], logits_N_C: Tensor, layer: str | None) -> Call:
    """The last run of the layer that is named, or of a linear one whose output are the logits."""
    for call in reversed(calls):
        if layer is not None or _same(call.given, logits_N_C):
            return call
    if layer is not None:
        raise InputError(f"the layer that `layer` names did not run: name another one; {HIDDEN}")
    if not calls:
        raise InputError(f"none of the classifier's nn.Linear layers ran: {NAME_IT}; {HIDDEN}")
    if logits_N_C.min() >= 0 and (logits_N_C.sum(1) - 1).abs().max() < 0.01:
        raise InputError(
            "the classifier gives probabilities; it must give logits, before the softmax"
        )
    raise InputError(f"the classifier's logits are not the output of an nn.Linear layer; {NAME_IT}")


def _same(given: Any, logits_N_C: Tensor) -> bool:
    """Whether softmax makes the same of both: equal up to a constant in each row."""
    if given is logits_N_C:
        return True
    if not isinstance(given, Tensor) or given.shape != logits_N_C.shape:
        return False
    exact = given.cpu().double()  # some devices have no such numbers
    difference = exact - logits_N_C.cpu().double()
    rounding = max(torch.finfo(tensor.dtype).eps for tensor in (given, logits_N_C))
    spread = (difference.amax(1) - difference.amin(1)).amax()
    return bool(spread <= 32 * rounding * (1 + exact.abs().amax()))


def _weight(call: Call, logits_N_C: Tensor, embedding_N_D: Tensor) -> Tensor | None:
    weight = getattr(call.layer, "weight", None)
    shape = logits_N_C.shape[1], embedding_N_D.shape[1]
    if not isinstance(weight, Tensor) or weight.numel() != shape[0] * shape[1]:
        return None
    given = call.given.flatten(1) if isinstance(call.given, Tensor) else None
    return _plain(weight.reshape(shape)) if _same(given, logits_N_C) else None


def _pair(output: Any, count: int) -> Outputs:
    if not isinstance(output, tuple) or len(output) != 2:
        raise InputError("a function as classifier must return (logits, embedding)")
    logits_N_C, embedding = _logits(output[0], count), output[1]
    if not isinstance(embedding, Tensor) or embedding.ndim < 2 or len(embedding) != count:
        raise InputError(f"a function as classifier must give {count} embeddings, N x D")
    return Outputs(_plain(logits_N_C), _plain(embedding.flatten(1)), None)


def _plain(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.float32)
