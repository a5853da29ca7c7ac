"""A plan that TensorRT has opened: its inputs and outputs are checked, and contexts come of it."""

from __future__ import annotations

import contextlib
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from facealign.errors import BackendError, GraphContractError, UsageError
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.library import BINDING_ERRORS, import_tensorrt
from facealign.runtime.tensorrt.messages import Messages
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.plugins.register import register_plugins
from facealign.spec import TensorSpec

__all__ = ["LoadedPlan", "load_plan"]

_DTYPES = {"uint8": "UINT8", "float32": "FLOAT"}
_PROFILE = 0
_SMALLEST = 1


def load_plan(contract: PlanContract, device: Device, *, closes_device: bool = False) -> LoadedPlan:
    """Return the plan, opened on a device. TensorRT runs what is in it: see SECURITY.md.

    Args:
        contract: The plan, whose origin the caller has checked, and what it promises.
        device: Where it was built for.
        closes_device: Whether the device is closed with the plan, also when this fails.

    Raises:
        BackendError: If TensorRT is absent or cannot open the plan, or a plugin of ours that it
            needs cannot be compiled.
        TargetError: If this TensorRT takes no plugin of ours, and the plan needs one.
        IntegrityError: If it needs one that there is not.
        GraphContractError: If the plan does not have the inputs, outputs or batches it promises.
    """
    with ExitStack() as stack:
        if closes_device:
            stack.callback(device.close)
        trt = import_tensorrt()
        device.make_current()
        plugins = register_plugins(trt, contract.plugins, device)
        stack.callback(plugins.close)
        plan = LoadedPlan(trt, contract, device)
        stack.callback(plan.free)
        with plugins.making():
            plan.open()
        plan.keep(stack.pop_all())
        return plan


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One input or output as TensorRT describes it; `profile` is empty for outputs."""

    dtype: str
    shape: tuple[int, ...]
    location: str
    layout: str
    profile: tuple[tuple[int, ...], ...]


class LoadedPlan:
    """Runtime and engine of one plan; freed with the last of those who share it.

    TensorRT allows its engine to be used by several threads; contexts are made under a lock.

    Attributes:
        profiler: An `IProfiler` for every slot's contexts, set before the first run; None for none.
    """

    def __init__(self, trt: ModuleType, contract: PlanContract, device: Device) -> None:
        self.trt = trt
        self.contract = contract
        self.device = device
        self.messages = Messages(trt)
        self.scratch_bytes = 0
        self.profiler: Any = None
        # TensorRT's objects are freed with their last reference. They are reached by attributes
        # only: a local name would live on in the traceback of an error, beyond the CUDA context.
        self._runtime: Any = None
        self._engine: Any = None
        self._lock = threading.Lock()
        self._users = 1
        self._stack = ExitStack()

    def open(self) -> None:
        """Deserialise the plan and check it against its contract."""
        name = self.contract.name
        try:
            self._runtime = self.trt.Runtime(self.messages.logger)
            self._runtime.error_recorder = self.messages.recorder
            if self.contract.holds_host_code:  # TensorRT refuses it otherwise, by default
                self._runtime.engine_host_code_allowed = True
            self._engine = self._runtime.deserialize_cuda_engine(self.contract.data)
            if self._engine is None:
                raise self.messages.failure(f"open `{name}`")
            self._engine.error_recorder = self.messages.recorder
            self.scratch_bytes = self._scratch_bytes()
            found = {name: self._tensor(name) for name in self._names()}
        except BINDING_ERRORS as error:
            raise self.messages.failure(f"open `{name}`", cause=error) from error
        _check_contract(self.contract, found)

    def keep(self, stack: ExitStack) -> None:
        """Take over what frees this and the device."""
        self._stack = stack

    def context(self) -> Any:  # noqa: ANN401  # TensorRT has no types
        """Return a new execution context that has no scratch memory yet.

        Raises:
            BackendError: If TensorRT cannot make one.
            UsageError: If the plan is closed.
        """
        with self._lock:
            if self._engine is None:
                raise UsageError("the plan is closed; load it again")
            try:
                return self._new_context() or self._no_context()
            except BINDING_ERRORS as error:
                raise self.messages.failure("make an execution context", cause=error) from error

    def layer_information(self) -> str:
        """Return what TensorRT says of its layers, JSON.

        Raises:
            BackendError: If it says nothing.
            UsageError: If the plan is closed.
        """
        json_format = self.trt.LayerInformationFormat.JSON
        with self._lock:
            if self._engine is None:
                raise UsageError("the plan is closed; load it again")
            try:
                return str(
                    self._engine.create_engine_inspector().get_engine_information(json_format)
                )
            except (*BINDING_ERRORS, AttributeError) as error:  # None where there is no inspector
                raise self.messages.failure("tell its layers", cause=error) from error

    def share(self) -> LoadedPlan:
        """Return the plan for one more user, who calls `close` too.

        Raises:
            UsageError: If the plan is closed.
        """
        with self._lock:
            if self._users == 0:
                raise UsageError("the plan is closed; load it again")
            self._users += 1
        return self

    def close(self) -> None:
        """Free the plan if this was its last user; each calls it once."""
        with self._lock:
            self._users = max(0, self._users - 1)
            is_last = self._users == 0
        if is_last:
            with contextlib.suppress(BackendError):
                self.device.make_current()
            self._stack.close()

    def free(self) -> None:
        """Free engine and runtime, in this order."""
        self._engine = None
        self._runtime = None

    def _scratch_bytes(self) -> int:
        """Return what a context needs; TensorRT 8.6 has only what 11 dropped, also below."""
        size: Any = getattr(self._engine, "device_memory_size_v2", None)
        if size is None:
            size = getattr(self._engine, "device_memory_size", None)
        return int(size)

    def _new_context(self) -> Any:  # noqa: ANN401  # TensorRT has no types
        if hasattr(self.trt, "ExecutionContextAllocationStrategy"):
            strategy = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
            return self._engine.create_execution_context(strategy)
        if hasattr(self._engine, "create_execution_context_without_device_memory"):
            return self._engine.create_execution_context_without_device_memory()
        return None

    def _no_context(self) -> NoReturn:
        """Say why there is none."""
        raise self.messages.failure("make an execution context")

    def _names(self) -> list[str]:
        return [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]

    def _tensor(self, name: str) -> tuple[str, _Tensor]:
        """Return ``input`` or ``output``, and what TensorRT says of the tensor."""
        mode = self._engine.get_tensor_mode(name)
        is_input = mode == self.trt.TensorIOMode.INPUT
        limits = self._engine.get_tensor_profile_shape(name, _PROFILE) if is_input else []
        tensor = _Tensor(
            dtype=self._engine.get_tensor_dtype(name).name,
            shape=tuple(self._engine.get_tensor_shape(name)),
            location=self._engine.get_tensor_location(name).name,
            layout=self._engine.get_tensor_format(name).name,
            profile=tuple(tuple(shape) for shape in limits),
        )
        return ("input" if is_input else "output", tensor)


def _check_contract(contract: PlanContract, found: dict[str, tuple[str, _Tensor]]) -> None:
    """Check names, types, shapes and batches.

    Raises:
        GraphContractError: If one differs.
    """
    if len(contract.inputs) != 1:
        raise GraphContractError(_differs(contract, "1 input", str(len(contract.inputs))))
    promised = {
        **{spec.name: ("input", spec) for spec in contract.inputs},
        **{spec.name: ("output", spec) for spec in contract.outputs},
    }
    if set(promised) != set(found):
        raise GraphContractError(
            _differs(contract, f"the tensors {sorted(promised)}", str(sorted(found)))
        )
    for name, (kind, spec) in promised.items():
        found_kind, tensor = found[name]
        if kind != found_kind:
            raise GraphContractError(_differs(contract, f"`{name}` as {kind}", found_kind))
        _check_tensor(contract, spec, tensor)
        if kind == "input":
            _check_profile(contract, spec, tensor)


def _check_tensor(contract: PlanContract, spec: TensorSpec, tensor: _Tensor) -> None:
    """Check type, place, layout and shape.

    Raises:
        GraphContractError: If one differs.
    """
    expected = (_DTYPES[spec.dtype], "DEVICE", "LINEAR")
    got = (tensor.dtype, tensor.location, tensor.layout)
    if got != expected:
        raise GraphContractError(_differs(contract, f"`{spec.name}` as {expected}", str(got)))
    # An axis that TensorRT does not know beforehand is compared when a batch is set.
    fits = len(tensor.shape) == len(spec.shape) and all(
        isinstance(axis, str) or size in {axis, -1}
        for axis, size in zip(spec.shape, tensor.shape, strict=True)
    )
    if not fits:
        raise GraphContractError(
            _differs(contract, f"`{spec.name}` {spec.shape}", str(tensor.shape))
        )


def _check_profile(contract: PlanContract, spec: TensorSpec, tensor: _Tensor) -> None:
    """Check that the profile takes every batch.

    Raises:
        GraphContractError: If it does not.
    """
    batches = [shape[0] for shape in tensor.profile if shape]
    if not batches or not (batches[0] <= _SMALLEST and batches[-1] >= contract.max_batch):
        got = f"{batches[0]} to {batches[-1]}" if batches else "no profile"
        raise GraphContractError(
            _differs(contract, f"`{spec.name}` for batches 1 to {contract.max_batch}", got)
        )


def _differs(contract: PlanContract, expected: str, got: str) -> str:
    return f"`{contract.name}` must have {expected}, got {got}; run `facealign build` again"
