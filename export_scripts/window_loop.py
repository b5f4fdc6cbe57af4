"""Gives an exported encoder the served tensors, and a loop that computes little padding.

A batch is padded to its longest text. Instead of running the encoder on the whole batch, the graph runs it
in a loop: it skips windows that repeat the previous one or have no tokens, groups windows of about the same
length into a run, and cuts each run to its longest window. So one run bounds the memory, whatever the batch.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper, parser

from export_scripts.window_axis import model_header


@dataclass(frozen=True)
class RunLimits:
    """Which windows share a run of the encoder.

    max_tokens: limit of a run, padding included; a longer window runs alone.
    max_padding_tokens: limit of the difference between a run's longest and shortest window.
    """

    max_tokens: int
    max_padding_tokens: int


def add_window_loop(encoder: onnx.ModelProto, limits: RunLimits) -> onnx.ModelProto:
    """Wrap `encoder` so that it takes windows, needs no token types, and skips repeated windows.

    encoder: inputs `input_ids`, `attention_mask` and perhaps `token_type_ids`, all INT64
    [rows, tokens]; output `logits` FP32 [rows, labels].
    Returns a model with inputs `input_ids`, `attention_mask` INT32 [batch, windows, tokens] and
    output `logits` FP32 [batch, windows, labels]; every token is of type 0. Padding must follow a
    window's tokens. A window without tokens has the logits of the window before it; a text's first window
    counts as a token at least.
    """
    opset = next(entry.version for entry in encoder.opset_import if entry.domain in ("", "ai.onnx"))
    names = {tensor.name for tensor in encoder.graph.input}
    renamed = compose.add_prefix(encoder, "run_")
    labels = renamed.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    body = _body(opset, limits, with_token_types="token_type_ids" in names)
    (collect,) = [node for node in body.node if node.op_type == "Concat"]
    body.node.remove(collect)
    body.node.extend([*renamed.graph.node, collect])

    model = _outer(opset)
    model.graph.initializer.extend(renamed.graph.initializer)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "more_rows"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((0, labels), np.float32), "no_logits"))
    nodes = list(model.graph.node)
    position = next(index for index, node in enumerate(nodes) if "sorted_logits" in node.input)
    loop = helper.make_node(
        "Loop",
        ["distinct_count", "more_rows", "zero", "no_logits"],
        ["rows_done", "sorted_logits"],
        name="runs",
        body=body,
    )
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:position], loop, *nodes[position:]])
    del model.opset_import[:]
    model.opset_import.extend(encoder.opset_import)
    onnx.checker.check_model(model)
    return model


def _outer(opset: int) -> onnx.ModelProto:
    """The graph around the loop: selects the rows (windows) that differ from the row before, by length."""
    return parser.parse_model(
        f"""{model_header(opset)}
        window_loop (int32[batch, windows, tokens] input_ids, int32[batch, windows, tokens] attention_mask)
            => (float[batch, windows, labels] logits) {{
            zero = Constant <value_int = 0> ()
            one = Constant <value_int = 1> ()
            any_rows = Constant <value_ints = [-1]> ()
            axis_0 = Constant <value_ints = [0]> ()
            axis_1 = Constant <value_ints = [1]> ()

            leading_axes = Shape <start = 0, end = 2> (input_ids)
            window_count = Shape <start = 1, end = 2> (input_ids)
            token_count = Shape <start = 2, end = 3> (input_ids)
            rows_by_tokens = Concat <axis = 0> (any_rows, token_count)
            row_ids = Reshape(input_ids, rows_by_tokens)
            row_mask = Reshape(attention_mask, rows_by_tokens)

            width = Squeeze(token_count)
            end_position = Add(width, one)
            positions = Range(one, end_position, one)
            is_shown = Cast <to = 9> (row_mask)
            shown_positions = Where(is_shown, positions, zero)
            shown_tokens = ReduceMax <keepdims = 0> (shown_positions, axis_1)
            row_tokens = Max(shown_tokens, one)

            row_axis = Shape(row_tokens)
            row_count = Squeeze(row_axis)
            rows = Range(zero, row_count, one)
            window_numbers = Mod(rows, window_count)
            is_first = Equal(window_numbers, zero)
            row_before = Sub(rows, one)
            previous_rows = Max(row_before, zero)
            previous_ids = Gather(row_ids, previous_rows)
            previous_mask = Gather(row_mask, previous_rows)
            equal_ids = Equal(row_ids, previous_ids)
            equal_mask = Equal(row_mask, previous_mask)
            equal_both = And(equal_ids, equal_mask)
            differs = Not(equal_both)
            differs_count = Cast <to = 7> (differs)
            differing_tokens = ReduceSum <keepdims = 0> (differs_count, axis_1)
            is_changed = Greater(differing_tokens, zero)
            has_tokens = Greater(shown_tokens, zero)
            is_another = And(is_changed, has_tokens)
            is_distinct = Or(is_first, is_another)

            distinct_index = NonZero(is_distinct)
            distinct_rows = Squeeze(distinct_index, axis_0)
            distinct_axis = Shape(distinct_rows)
            distinct_count = Squeeze(distinct_axis)
            distinct_tokens = Gather(row_tokens, distinct_rows)
            sorted_tokens, by_length = TopK <largest = 1, sorted = 1> (distinct_tokens, distinct_axis)
            sorted_rows = Gather(distinct_rows, by_length)

            positions_sorted, sorted_place = TopK <largest = 0, sorted = 1> (by_length, distinct_axis)
            distinct_flags = Cast <to = 7> (is_distinct)
            distinct_so_far = CumSum(distinct_flags, zero)
            distinct_number = Sub(distinct_so_far, one)
            row_place = Gather(sorted_place, distinct_number)
            row_logits = Gather(sorted_logits, row_place)
            label_count = Shape <start = 1, end = 2> (row_logits)
            logits_shape = Concat <axis = 0> (leading_axes, label_count)
            logits = Reshape(row_logits, logits_shape)
        }}"""
    )


def _body(opset: int, limits: RunLimits, *, with_token_types: bool) -> onnx.GraphProto:
    """The loop's body, one run: takes the next rows of similar length, cut to the longest."""
    token_types = "run_token_type_ids = Sub(run_input_ids, run_input_ids)" if with_token_types else ""
    body = parser.parse_model(
        f"""{model_header(opset)}
        run (int64 iteration, bool unused, int64 start, float[done, labels] logits_before)
            => (bool is_more, int64 end, float[done_after, labels] logits_after) {{
            max_tokens = Constant <value_ints = [{limits.max_tokens}]> ()
            max_padding_tokens = Constant <value_ints = [{limits.max_padding_tokens}]> ()
            one_row = Constant <value_ints = [1]> ()

            starts = Unsqueeze(start, axis_0)
            after_first = Add(starts, one_row)
            longest = Slice(sorted_tokens, starts, after_first)
            rows_within = Div(max_tokens, longest)
            most_rows = Max(rows_within, one_row)
            most_ends = Add(starts, most_rows)
            candidate_tokens = Slice(sorted_tokens, starts, most_ends)
            shortest = Sub(longest, max_padding_tokens)
            is_near = GreaterOrEqual(candidate_tokens, shortest)
            near = Cast <to = 7> (is_near)
            run_rows = ReduceSum <keepdims = 1> (near, axis_0)
            ends = Add(starts, run_rows)
            end = Squeeze(ends)
            is_more = Less(end, distinct_count)

            rows_of_run = Slice(sorted_rows, starts, ends)
            ids_of_run = Gather(row_ids, rows_of_run)
            mask_of_run = Gather(row_mask, rows_of_run)
            cut_ids = Slice(ids_of_run, axis_0, longest, axis_1)
            cut_mask = Slice(mask_of_run, axis_0, longest, axis_1)
            run_input_ids = Cast <to = 7> (cut_ids)
            run_attention_mask = Cast <to = 7> (cut_mask)
            {token_types}
            logits_after = Concat <axis = 0> (logits_before, run_logits)
        }}"""
    )
    return body.graph
