"""What papers and libraries also call the shipped blocks and ops: names to look up and to suggest.
A spec calls each by its own name alone.
"""

from __future__ import annotations

ALSO = {  # by the shipped name
    # attention and gates
    "se": "squeeze_excitation squeeze_and_excitation squeeze_excite se_block se_layer se_module",
    "hard_se": "hard_squeeze_excitation squeeze_excitation_hard",
    "ese": "effective_se effective_squeeze_excitation ese_module",
    "eca": "efficient_channel_attention eca_block eca_layer eca_module",
    "global_context": "gc gc_block global_context_block gcnet_block",
    "non_local": "nonlocal nonlocal_block non_local_block",
    "sk": "selective_kernel sk_conv sk_unit selective_kernel_unit",
    "split_attention": "splat split_attn radix_attention split_attention_conv",
    "bilinear_attention": "bat bat_block bilinear_attention_transform",
    "self_attention": "mhsa mha multi_head_attention multi_head_self_attention attention",
    "window_attention": "wmsa w_msa shifted_window_attention",
    "mobile_attention": "mqa multi_query_attention mobile_mqa",
    "decoupled_attention": "dfc dfc_attention",
    "lambda_layer": "lambda_conv lambda_network_layer",
    "attention_pool": "attention_pool2d attn_pool clip_pool",
    # blocks
    "basic": "basic_block basicblock resnet_basic residual_block resnet_block",
    "bottleneck": "bottleneck_block resnet_bottleneck bottleneck_v1_5",
    "bottleneck_v1": "bottleneck_caffe caffe_bottleneck",
    "preact_basic": "preact_block preactivation_basic pre_activation_basic basic_v2",
    "preact_bottleneck": "preactivation_bottleneck pre_activation_bottleneck bottleneck_v2",
    "inverted_bottleneck": "mbconv mb_conv inverted_residual inverted_residual_block ir_block",
    "fused_bottleneck": "fused_mbconv fused_mb_conv fused_inverted_residual edge_residual",
    "universal_bottleneck": "uib universal_inverted_bottleneck universal_inverted_residual",
    "separable_conv": "sepconv sep_conv separable_conv2d depthwise_separable_conv",
    "separable_block": "depthwise_separable depthwise_separable_block ds_conv",
    "mixed_conv": "mixconv mix_conv mixed_conv2d",
    "ghost_conv": "ghost_module",
    "ghost_bottleneck": "ghost_block",
    "bottle2neck": "res2net_block res2net_bottleneck bottle2neck_block",
    "regnet": "regnet_block",
    "aa_bottleneck": "antialiased_bottleneck blur_bottleneck",
    "convnext_block": "cn_block",
    "dense_layer": "densenet_layer dense_block",
    "transition": "transition_layer transition_block",
    "shuffle_unit": "shuffle_block shufflenet_unit",
    "osa_block": "osa one_shot_aggregation osa_module",
    "csp_stage": "csp cross_stage cross_stage_partial csp_block",
    "dark_block": "darknet_block darknet_bottleneck",
    "repvgg_block": "rep_vgg_block",
    "swin_block": "swin_transformer_block",
    "transformer": "transformer_block vit_block encoder_block transformer_encoder",
    "token_mlp": "mlp ffn feed_forward mlp_block",
    "conv_norm_act": "conv_bn_relu conv_bn_act conv_block cna cba",
    # necks, heads, stems, shortcuts
    "fpn": "feature_pyramid feature_pyramid_network",
    "aspp": "atrous_spatial_pyramid_pooling deeplab_head",
    "psp": "ppm pyramid_pooling pyramid_pooling_module psp_head",
    "classifier": "classification_head gap_head fc_head",
    "stem_7x7": "resnet_stem imagenet_stem",
    "stem_3x3": "cifar_stem",
    "patch_stem": "patchify patchify_stem",
    "patch_embedding": "patch_embed vit_embedding",
    "projection": "option_b projection_shortcut conv_shortcut downsample",
    "zero_pad": "option_a zero_pad_shortcut",
    "projection_always": "option_c",
    "avg_projection": "avg_down avgpool_shortcut",
    "channel_dropout": "dropout2d spatial_dropout dropout_2d",
    # ops
    "batch_norm": "bn batchnorm batchnorm2d batch_normalization",
    "layer_norm": "ln layernorm layernorm2d layer_normalization",
    "group_norm": "gn groupnorm group_normalization",
    "grn": "global_response_norm global_response_normalization",
    "global_avg_pool": "gap global_average_pool global_average_pooling",
    "linear": "dense fc fully_connected",
    "concat": "cat concatenate",
    "silu": "swish",
    "drop_path": "stochastic_depth droppath",
    "resize": "upsample interpolate",
    "std_conv2d": "weight_standardised_conv weight_standardized_conv ws_conv",
}
NAMES = {word: name for name, words in ALSO.items() for word in words.split()}

CLOSED = {word.replace("_", ""): name for word, name in NAMES.items()}  # SqueezeExcitation


def meant(word: str) -> str | None:
    """The shipped name of what is also called so, however that is spelt."""
    folded = word.lower().replace("-", "_")
    return NAMES.get(folded) or CLOSED.get(folded.replace("_", ""))


def also(name: str) -> list[str]:
    """What else it is called."""
    return ALSO.get(name, "").split()
