"""The history against facts that were found independently of it: by hand on real installs, and in release notes."""

import sys

import pytest

from torchcompat_check import history as module
from torchcompat_check._minors import ALL, MINORS, at_least, at_most, ranges
from torchcompat_check.history import History, load

NAMES = """
torch.zeros 1.2-
torch.distributed.group.WORLD 1.2-
torch.quantization.fake_quantize.FakeQuantize.scale 1.2-
torch.quantization.fx.quantization_types.Pattern 1.8-
torch.distributed._tensor.experimental.implicit_replication 2.3-
torch.gels 1.2
torch.rfft 1.2-1.7
torch.fft.fft 1.7-
torch.fft.hfft2 1.11-
torch.linalg.svd 1.8-
torch.linalg.vector_norm 1.9-
torch.maximum 1.7-
torch.concat 1.10-
torch.concatenate 1.13-
torch.asarray 1.11-
torch.take_along_dim 1.9-
torch.isin 1.10-
torch.broadcast_shapes 1.8-
torch.unravel_index 2.2-
torch.unflatten 1.13-
torch.logaddexp 1.6-
torch.vmap 2.0-
torch.cond 2.2-
torch.while_loop 2.5-
torch.compile 2.0-
torch.compiler.is_compiling 2.3-
torch.compiler.set_stance 2.6-
torch.compiler.nested_compile_region 2.8-
torch._dynamo.is_compiling 2.0-
torch.inference_mode 1.9-
torch.set_deterministic 1.7-1.9
torch.use_deterministic_algorithms 1.8-
torch.set_default_device 2.0-
torch.get_default_device 2.3-
torch.get_autocast_dtype 2.4-
torch.autocast 1.10-
torch.amp.autocast 1.12-
torch.amp.GradScaler 2.3-
torch.amp.custom_fwd 2.4-
torch.cuda.amp.autocast 1.6-
torch.cuda.amp.GradScaler 1.5-
torch.cuda.OutOfMemoryError 1.13-
torch.cuda.MemPoolContext 2.5-2.7
torch.float8_e4m3fn 2.1-
torch.uint16 2.3-
torch.pi 1.10-
torch.has_cuda 1.2-
torch.nested_tensor 1.12
torch._six.string_classes 1.2-1.13
torch._six.container_abcs 1.2-1.8
torch.storage._TypedStorage 1.11-1.12
torch.TypedStorage 1.13-
torch.UntypedStorage 1.13-
torch.Tensor.is_maia 2.4-
torch.Tensor.mT 1.11-
torch.Tensor.itemsize 2.1-
torch.Tensor.unflatten 1.3-
torch.Tensor.rename 1.3-2.12
torch.Tensor.names 1.3-2.12
torch.Tensor.real 1.4, 1.6-
torch.Tensor.imag 1.4, 1.6-
torch.Tensor.untyped_storage 2.0-
torch.Tensor.register_post_accumulate_grad_hook 2.1-
torch.Tensor.is_inference 1.10-
torch.nn.GELU 1.4-
torch.nn.SiLU 1.7-
torch.nn.RMSNorm 2.4-
torch.nn.Buffer 2.5-
torch.nn.HuberLoss 1.9-
torch.nn.Module.get_submodule 1.9-
torch.nn.Module.set_submodule 2.5-
torch.nn.Module.register_full_backward_hook 1.8-
torch.nn.Module.to_empty 1.9-
torch.nn.Module.register_state_dict_post_hook 2.5-
torch.nn.Module.compile 2.1-
torch.nn.Sequential.append 1.11-
torch.nn.Conv2d.conv2d_forward 1.2-1.4
torch.nn.Linear.register_full_backward_hook 1.8-
torch.nn.functional.scaled_dot_product_attention 2.0-
torch.nn.functional._scaled_dot_product_attention 1.9-1.13
torch.nn.functional.linear_cross_entropy 2.13-
torch.nn.init.trunc_normal_ 1.6-
torch.nn.utils.skip_init 1.10-
torch.nn.utils._stateless 1.11-1.13
torch.nn.utils.stateless.functional_call 1.12-
torch.nn.utils.parametrizations.weight_norm 2.1-
torch.nn.utils.parametrize.register_parametrization 1.9-
torch.nn.utils.get_total_norm 2.6-
torch.nn.attention.sdpa_kernel 2.3-
torch.nn.attention.SDPBackend.OVERRIDEABLE 2.5-
torch.nn.attention.bias.causal_lower_right 2.3-
torch.nn.attention.flex_attention.flex_attention 2.5-
torch.nn.attention.flex_attention.create_nested_block_mask 2.6-2.9
torch.nn.attention.varlen.varlen_attn 2.10-
torch.backends.cuda.sdp_kernel 1.13-
torch.backends.cuda.matmul.allow_tf32 1.7-
torch.backends.mha.set_fastpath_enabled 2.3-
torch.backends.mps.is_available 1.12-
torch.compiler.precompile.load 2.14-
torch.func.functional_call 2.0-
functorch.vmap 1.13-
torch.autograd.graph.saved_tensors_hooks 1.10-
torch.autograd.graph.get_gradient_edge 2.2-
torch.autograd.Function.setup_context 2.0-
torch.optim.NAdam 1.10-
torch.optim.Adafactor 2.5-
torch.optim.Muon 2.9-
torch.optim.SGD.register_step_pre_hook 2.0-
torch.optim.lr_scheduler.OneCycleLR 1.3-
torch.optim.lr_scheduler.PolynomialLR 1.13-
torch.optim.lr_scheduler.LRScheduler 2.0-
torch.optim.lr_scheduler.StepLR.get_last_lr 1.4-
torch.optim.lr_scheduler.ReduceLROnPlateau.is_better 1.2-2.8
torch.optim.swa_utils.AveragedModel 1.6-
torch.optim.swa_utils.get_ema_multi_avg_fn 2.1-
torch.utils.data.default_collate 1.11-
torch.utils.data.IterDataPipe 1.8-
torch.utils.data.BufferedShuffleDataset 1.8
torch.utils.checkpoint.CheckpointPolicy 2.5-
torch.utils._pytree.tree_map 1.9-
torch.utils._pytree.register_pytree_node 2.2-
torch.utils.bottleneck 1.2-2.9
torch.utils.tensorboard.SummaryWriter 1.2-
torch.testing.assert_close 1.9-
torch.testing.assert_equal 1.9
torch.testing.assert_allclose 1.2-
torch.overrides.is_tensor_like 1.7-
torch.overrides.push_torch_function_mode 1.12
torch.library.custom_op 2.4-
torch.library.triton_op 2.6-
torch.export.export 2.1-
torch.export.Dim 2.2-
torch.export.dynamic_dim 2.1-2.4
torch.export.export_for_training 2.5-2.10
torch.onnx.set_training 1.2-1.5
torch.jit.optimize_frozen_module 1.8
torch.jit.get_trace_graph 1.2-1.3
torch.jit.freeze 1.6-
torch.profiler.profile 1.8-
torch.profiler.ExecutionGraphObserver 1.13-2.0
torch.serialization.add_safe_globals 2.4-
torch.distributed.all_gather_into_tensor 1.13-
torch.distributed.device_mesh.init_device_mesh 2.2-
torch.distributed.fsdp.FullyShardedDataParallel 1.11-
torch.distributed.fsdp.fully_shard 2.6-
torch.distributed.tensor.DTensor 2.5-
torch.distributed._tensor.DTensor 2.0-
torch.distributed.checkpoint.save 2.2-
torch.ao.sparsity 1.10-1.13
torch.accelerator.current_accelerator 2.6-
torch.Tensor.__or__ 1.2-
torch.Tensor.__ror__ 1.10-
torch.Tensor.__format__ 1.2-
torch.device.__enter__ 2.0-
torch.no_grad.__call__ 1.2-
torch.nn.Sequential.__add__ 1.13-
torch.nn.LSTM.__call__ 1.2-
torch.Size.index 1.2-
torch.utils.data.IterableDataset.__iter__ 1.2-
torch.utils.data.Dataset.__class_getitem__ 1.7-
torch.autograd.profiler.record_function.__call__ 1.5-
torch.cuda.OutOfMemoryError.with_traceback 1.13-
torch._dynamo.OptimizedModule.dynamo_ctx 2.0-
torch.distributions.utils.Number 1.2-2.6, 2.8-
"""

PARAMETERS = """
torch.zeros names 1.3-2.12
torch.zeros_like memory_format 1.4-
torch.meshgrid indexing 1.10-
torch.div rounding_mode 1.8-
torch.sort stable 1.9-
torch.argsort stable 1.13-
torch.var correction 1.9-
torch.round decimals 1.11-
torch.searchsorted side 1.11-
torch.compile recompile_limit 2.12-
torch.compile shapes_spec 2.13
torch.load mmap 2.1-
torch.linalg.det A 1.13-
torch.linalg.svd driver 1.13-
torch.use_deterministic_algorithms warn_only 1.11-
torch.nn.Linear device 1.9-
torch.nn.GELU approximate 1.12-
torch.nn.functional.gelu approximate 1.12-
torch.nn.LayerNorm bias 2.1-
torch.nn.BatchNorm2d bias 2.12-
torch.nn.CrossEntropyLoss label_smoothing 1.10-
torch.nn.MultiheadAttention batch_first 1.9-
torch.nn.MultiheadAttention.forward average_attn_weights 1.11-
torch.nn.MultiheadAttention.forward is_causal 2.0-
torch.nn.TransformerEncoderLayer norm_first 1.10-
torch.nn.TransformerEncoder mask_check 1.13-
torch.nn.Transformer.forward src_is_causal 2.1-
torch.nn.Module.zero_grad set_to_none 1.7-
torch.nn.Module.load_state_dict assign 2.1-
torch.nn.Module.register_forward_hook with_kwargs 2.0-
torch.nn.Module.register_forward_hook always_call 2.1-
torch.nn.functional.interpolate antialias 1.11-
torch.nn.functional.interpolate recompute_scale_factor 1.5-
torch.nn.functional.mse_loss weight 2.6-
torch.nn.functional.scaled_dot_product_attention enable_gqa 2.5-
torch.nn.utils.clip_grad_norm_ error_if_nonfinite 1.9-
torch.nn.utils.clip_grad_norm_ foreach 2.0-
torch.nn.utils.rnn.pad_sequence padding_side 2.5-
torch.nn.init.trunc_normal_ generator 2.1-
torch.optim.SGD maximize 1.11-
torch.optim.SGD foreach 1.12-
torch.optim.SGD fused 2.3-
torch.optim.Adam fused 1.13-
torch.optim.AdamW fused 2.0-
torch.optim.Adam decoupled_weight_decay 2.7-
torch.optim.lr_scheduler.StepLR verbose 1.7-2.6
torch.optim.swa_utils.AveragedModel use_buffers 1.11-
torch.utils.data.DataLoader generator 1.6-
torch.utils.data.DataLoader persistent_workers 1.7-
torch.utils.data.DataLoader pin_memory_device 1.12-
torch.utils.checkpoint.checkpoint use_reentrant 1.11-
torch.utils.checkpoint.checkpoint early_stop 2.9-
torch.cuda.amp.autocast dtype 1.10-
torch.backends.cuda.sdp_kernel enable_cudnn 2.3-
torch.autograd.grad is_grads_batched 1.11-
torch.jit.trace example_kwarg_inputs 2.0-
torch.jit.trace strict 1.6-
torch.hub.load trust_repo 1.12-
torch.distributed.init_process_group device_id 2.3-
torch.nn.parallel.DistributedDataParallel static_graph 1.11-
torch.nn.parallel.DistributedDataParallel init_sync 2.7-
torch.distributed.fsdp.FullyShardedDataParallel fsdp_auto_wrap_policy 1.11
torch.distributed.fsdp.FullyShardedDataParallel use_orig_params 2.0-
torch.export.export dynamic_shapes 2.2-
torch.onnx.export custom_opsets 1.5-
torch.testing.assert_close check_layout 1.11-
torch.nn.attention.flex_attention.flex_attention return_aux 2.9-
torch.nn.attention.sdpa_kernel set_priority 2.6-
torch.Tensor.new_zeros pin_memory 1.4-
torch.Tensor.backward inputs 1.8-
torch.Tensor.scatter_ reduce 1.7-
torch.compiler.disable reason 2.8-
torch.profiler.profile use_cuda 1.8-2.13
torch.no_grad orig_func 2.1-
torch.enable_grad orig_func 2.1-
"""

DEFAULTS = """
torch.nn.Module.zero_grad set_to_none False 1.7-1.13 | True 2.0-
torch.utils.data.DataLoader prefetch_factor 2 1.7-1.13 | None 2.0-
torch.optim.LBFGS tolerance_grad 1e-05 1.2 | 1e-07 1.3-
torch.onnx.export do_constant_folding False 1.2-1.4 | True 1.5-
torch.nn.TransformerEncoder enable_nested_tensor False 1.12 | True 1.13-
torch.save _use_new_zipfile_serialization False 1.4-1.5 | True 1.6-
"""


def rows(table, count):
    """The lines of a table, split into *count* words and the rest."""
    return [tuple(line.split(None, count)) for line in table.strip().splitlines()]


@pytest.mark.parametrize(("name", "present"), rows(NAMES, 1))
def test_the_minors_that_have_a_name(name, present):
    assert ranges(load().find(name).present) == present


@pytest.mark.parametrize(("name", "parameter", "present"), rows(PARAMETERS, 2))
def test_the_minors_that_have_a_parameter(name, parameter, present):
    assert ranges(load().find(name).parameters[parameter].present) == present


@pytest.mark.parametrize(("name", "parameter", "told"), rows(DEFAULTS, 2))
def test_the_defaults_of_a_parameter(name, parameter, told):
    found = load().find(name).parameters[parameter].defaults
    assert " | ".join(f"{default} {ranges(mask)}" for default, mask in found) == told


def test_a_function_that_became_a_module():
    entry = load().find("torch.fft")
    assert [(kind, ranges(mask)) for kind, mask in entry.kinds] == [("function", "1.2-1.7"), ("module", "1.8-")]
    assert (entry.kind_at("1.7"), entry.kind_at("1.8")) == ("function", "module")


def test_an_alias_leads_home():
    entry = load().find("torch.nn.Linear")
    assert entry.home == "torch.nn.modules.linear.Linear"
    assert entry.kinds == [("class", ALL)]
    assert list(entry.parameters)[:3] == ["in_features", "out_features", "bias"]


def test_a_move_shows_as_a_change_of_home():
    homes = load().find("torch.quantization.QConfig").homes
    assert homes[-1] == ("torch.ao.quantization.qconfig.QConfig", at_least("1.10"))


def test_members_come_through_aliases_and_bases():
    history = load()
    assert history.find("torch.nn.Linear.to").home == "torch.nn.modules.module.Module.to"
    assert history.find("torch.FloatTensor.add_").home == "torch.Tensor.add_"
    assert history.find("torch.optim.AdamW.zero_grad").present == ALL


def test_what_python_has_is_no_name_of_torch():
    """The file tells it for the classes of torch that inherit from it, on every minor."""
    history = load()
    assert history.record("builtins.tuple.index").own == ALL
    assert history.find("builtins.tuple.index") is None
    assert [name for name in history.names() if name.partition(".")[0] not in ("torch", "functorch")] == []


def test_what_no_torch_has_is_none():
    for name in ("torch.nope", "torch.nn.Linear.nope", "torch.nn.Linear.forward.nope", "numpy.zeros", "", "torch."):
        assert load().find(name) is None


def test_what_a_module_imports_from_elsewhere_is_no_name_of_torch():
    for name in ("torch.nn.functional.math", "torch.nn.functional.Optional", "torch.serialization.pickle", "torch.os"):
        assert load().find(name) is None


def test_what_returns_a_tensor_says_so():
    history = load()
    assert history.find("torch.zeros").returns == "torch.Tensor"
    assert history.find("torch.nn.functional.relu").returns == "torch.Tensor"
    assert history.find("torch.is_tensor").returns == ""


def test_accepts_knows_stars_and_the_names_of_numpy():
    history = load()
    assert history.find("torch.sum").accepts("axis") == ALL
    assert history.find("torch.sum").accepts("keepdims") == ALL
    assert history.find("torch.sum").accepts("nope") == 0
    assert history.find("torch.load").accepts("anything") == ALL
    assert history.find("torch.utils.checkpoint.checkpoint").accepts("use_reentrant") == at_least("1.11")
    assert history.find("torch.nn.GELU").accepts("approximate") == at_least("1.12")
    assert history.find("torch.optim.lr_scheduler.StepLR").accepts("verbose") == at_least("1.7") & at_most("2.6")


def test_keyword_only_parameters_have_no_place():
    parameters = load().find("torch.utils.data.DataLoader").parameters
    assert parameters["batch_size"].keyword_only == 0
    assert parameters["persistent_workers"].keyword_only == parameters["persistent_workers"].present


TEXT = """\
# a comment
# minors 1.2 1.3
torch.A = torch.b.A 1.2-1.7,1.9 ; = torch.c.A 2.0-
torch.b.A class 1.2-1.9 ; ( torch.b.Base 1.2
torch.b.A.f method 1.4-1.9 ; > torch.Tensor ; ~ unknown 1.4
 x
 y 1.5 * ='; a' ; 1.6- * =2
 **rest 1.8
torch.b.Base class 1.2
torch.b.Base.f method 1.2
torch.c.A class 2.0- ; ~ overloads
torch.c.A.g data 2.0-
"""


def test_the_reader_reads_every_mark():
    history = History(TEXT)
    entry = history.find("torch.A")
    assert ranges(entry.present) == "1.2-1.7, 1.9, 2.0-"
    method = history.find("torch.A.f")
    assert ranges(method.present) == "1.2, 1.4-1.7, 1.9"
    assert method.returns == "torch.Tensor"
    assert ranges(method.parameters["y"].present) == "1.5-1.7, 1.9"
    assert [default for default, _ in method.parameters["y"].defaults] == ["'; a'", "2"]
    assert list(method.parameters) == ["x", "y"]
    assert ranges(method.unknown) == "1.4"
    assert ranges(history.find("torch.b.A.f").takes_any) == "1.4, 1.8"
    assert history.find("torch.A.g").home == "torch.c.A.g"
    assert history.find("torch.A").overloaded == at_least("2.0")
    assert history.names() == [line.split()[0] for line in TEXT.splitlines() if line[0] == "t"]


def test_a_chain_of_aliases_that_bites_its_tail_ends():
    entry = History("torch.a = torch.b 1.2-\ntorch.b = torch.a 1.2-\n").find("torch.a")
    assert entry.present == ALL
    assert entry.kinds == [("data", ALL)]


def test_an_alias_of_what_is_not_described_is_there():
    entry = History("torch.a = torch.b 1.3-1.5\n").find("torch.a")
    assert ranges(entry.present) == "1.3-1.5"
    assert entry.parameters is None
    assert entry.accepts("anything") == entry.present


def test_every_record_can_be_found_and_read():
    history = load()
    names = history.names()
    assert names == sorted(set(names))
    for name in names[:: max(1, len(names) // 997)]:
        record = history.record(name)
        assert record is not None, name
        assert record.own or any(record.homes.values()), name
        list(record.parameters())


def test_reading_imports_neither_torch_nor_torchcompat():
    assert module.__name__ in sys.modules
    assert "torch" not in sys.modules
    assert "torchcompat" not in sys.modules


def test_the_file_holds_every_minor():
    line = next(line for line in load()._text.splitlines() if line.startswith("# minors "))
    assert tuple(line.split()[2:]) == MINORS
