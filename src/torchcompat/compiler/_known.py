"""What settings of torch's compiler are before somebody sets them, for a torch that has no compiler.

These are the values of torch 2.15, of those settings that programs read. A test holds them to torch's own.
"""

from __future__ import annotations

from typing import Any


def _settings(true: str, false: str, **others: Any) -> dict[str, Any]:
    return {**dict.fromkeys(true.split(), True), **dict.fromkeys(false.split(), False), **others}


KNOWN: dict[str, dict[str, Any]] = {
    "torch._dynamo.config": _settings(
        "assume_static_by_default automatic_dynamic_shapes dynamic_shapes enable_cpp_guard_manager "
        "fake_tensor_cache_enabled force_nn_module_property_static_shapes force_parameter_static_shapes "
        "guard_nn_modules inline_inbuilt_nn_modules optimize_ddp rewrite_assert_with_torch_assert skip_fsdp_guards "
        "skip_nnmodule_hook_guards trace_numpy use_lazy_graph_module",
        "allow_rnn allow_unspec_int_on_nn_module capture_dynamic_output_shape_ops capture_scalar_outputs "
        "compile_on_one_rank compiled_autograd cprofile disable do_not_emit_runtime_asserts error_on_recompile "
        "fail_on_recompile_limit_hit force_disable_caches only_allow_pt2_compliant_ops prepare_freezing "
        "raise_on_unsafe_aot_autograd replay_record_enabled specialize_float specialize_int suppress_errors "
        "use_numpy_random_stream verbose wrap_top_frame",
        accumulated_recompile_limit=256,
        cache_key_tag="",
        dynamic_sources="",
        job_id=None,
        log_file_name=None,
        recompile_limit=8,
        reorderable_logging_functions=set(),
        repro_after=None,
        repro_level=2,
        repro_tolerance=1e-3,
        unbacked_sources="",
    ),
    "torch._inductor.config": {
        **_settings(
            "allow_buffer_reuse comprehensive_padding epilogue_fusion fx_graph_cache implicit_fallbacks "
            "joint_graph_constant_folding layout_optimization pattern_matcher reorder_for_locality shape_padding "
            "size_asserts split_reductions",
            "aggressive_fusion benchmark_kernel conv_1x1_as_mm coordinate_descent_check_all_directions "
            "coordinate_descent_tuning cpp_wrapper debug fallback_random force_disable_caches "
            "force_fuse_int_mm_with_mul freezing max_autotune max_autotune_gemm max_autotune_pointwise "
            "permute_fusion reorder_for_compute_comm_overlap search_autotune_cache verbose_progress",
            fx_graph_remote_cache=None,
            max_autotune_gemm_backends="ATEN,TRITON,CPP",
            max_fusion_size=64,
            post_grad_custom_post_pass=None,
            post_grad_custom_pre_pass=None,
            unroll_reductions_threshold=8,
        ),
        "cpp.simdlen": None,
        "cpp.threads": -1,
        "cpp.weight_prepack": True,
        "trace.enabled": False,
        "triton.cudagraph_skip_dynamic_graphs": False,
        "triton.cudagraph_trees": True,
        "triton.cudagraphs": False,
        "triton.unique_kernel_names": True,
    },
}
# Settings of settings: `torch._inductor.config.triton.cudagraphs`.
GROUPS: dict[str, frozenset[str]] = {
    "torch._dynamo.config": frozenset(),
    "torch._inductor.config": frozenset(
        ("aot_inductor", "aten_distributed_optimizations", "auto_chunker", "cpp", "cuda", "cutlass", "halide", "mtia")
        + ("rocm", "trace", "triton", "xpu")
    ),
}
