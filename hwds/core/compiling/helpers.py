"""The compiler of helpers: functions that compiled code calls and Python never does.

numba optimises and turns into machine code each function by itself, and then once more inside whatever calls it. For a helper
the first is work for nothing. A third of the time of compiling a policy goes that way.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def helper_compiler() -> type[Any]:
    """Return the pipeline (numba's `pipeline_class`) that stops at LLVM's code of a function, which its callers link in.

    Compiled callers are the same to the bit: the whole is optimised where everything is linked.
    """
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.typed_passes import NativeLowering

    lowering = _lowering()
    base: Any = CompilerBase  # it has no types

    class HelperCompiler(base):  # type: ignore[misc]
        """numba's own passes but for the last."""

        def define_pipelines(self) -> list[Any]:
            manager = DefaultPassBuilder.define_nopython_pipeline(self.state)  # type: ignore[no-untyped-call]
            manager.add_pass_after(lowering, NativeLowering)
            manager.passes = [entry for entry in manager.passes if entry[0] is not NativeLowering]
            manager.finalize()
            return [manager]

    return HelperCompiler


@cache
def _lowering() -> type[Any]:
    from numba import _dynfunc  # type: ignore[attr-defined]
    from numba.core.compiler_machinery import register_pass
    from numba.core.typed_passes import NativeLowering

    base: Any = NativeLowering  # it has no types

    @register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[no-untyped-call]
    class HelperLowering(base):  # type: ignore[misc]
        """numba's lowering without machine code. It uses private methods, which a test tries on each release of numba."""

        _name = "helper_lowering"

        def run_pass(self, state: Any) -> bool:
            library = state.library = _unoptimised(state.targetctx.codegen().create_library(state.func_id.func_qualname))
            state.flags.no_compile = True
            super().run_pass(state)
            lowered = state["cr"]
            # Callers look a function up by an object of this kind; its address is never called.
            name = lowered.fndesc.qualname.rpartition(".")[2]
            entry = _dynfunc.make_function(lowered.fndesc.lookup_module(), name, "", 0, lowered.env, (library,))
            state.targetctx.insert_user_function(entry, lowered.fndesc, [library])
            state.reload_init.extend(library._reload_init)
            state["cr"] = lowered._replace(cfunc=entry)
            return True

    return HelperLowering


def _unoptimised(library: Any) -> Any:
    """Return a library whose code is linked into others alone."""

    def finalised() -> None:
        library._finalize_dynamic_globals()
        library._finalized = True

    library.enable_object_caching()
    library._optimize_final_module = lambda: None
    library._finalize_final_module = finalised
    return library
