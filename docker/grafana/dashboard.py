"""`python -m docker.grafana.dashboard`: writes the dashboard that Grafana is provisioned with.

The panels are data here; Grafana's own library turns them into its JSON.
"""

from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders.common import ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableRefresh

FILE = Path(__file__).parent / "dashboards" / "tribunal.json"
DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
REQUESTS_PER_S = "reqps"
TEXTS_PER_S = "cps"
SECONDS = "s"
SHARE = "percentunit"
BYTES = "bytes"
WHOLE_WIDTH = 24
CHOSEN = 'instance=~"$instance"'


@dataclass(frozen=True)
class Chart:
    """One panel: lines over time, or with `latest` the newest value alone.

    queries: PromQL by legend, which may hold `{{label}}`.
    names_only: show legends, and not the values beside them.
    """

    title: str
    unit: str
    queries: dict[str, str]
    description: str = ""
    latest: bool = False
    names_only: bool = False


def rate(metric: str, *matchers: str) -> str:
    """Growth per second of a counter on the chosen instances."""
    return f"rate({metric}{{{','.join([CHOSEN, *matchers])}}}[$__rate_interval])"


def total(metric: str, *matchers: str, by: str = "") -> str:
    """Sum of `rate`, kept apart by the label `by` where there is one."""
    return f"sum{f' by ({by})' if by else ''} ({rate(metric, *matchers)})"


def quantile(share: float, histogram: str, *matchers: str) -> str:
    """Estimate of a quantile from a histogram's buckets, over all instances."""
    return f"histogram_quantile({share}, {total(f'{histogram}_bucket', *matchers, by='le')})"


def summary(quantile: str, metric: str, *matchers: str) -> str:
    """Highest of the instances' own quantiles, in seconds: quantiles cannot be averaged or summed."""
    labels = ",".join([CHOSEN, f'quantile="{quantile}"', *matchers])
    return f"max by (model) ({metric}{{{labels}}}) / 1e6"


ENSEMBLE = 'model="moderation"'
NOT_ENSEMBLES = 'model!~"moderation|toxicity_judge|manifest"'
TOKENIZER = 'model="tokenizer"'
RECEIVED = (
    f"({total('nv_inference_request_success', TOKENIZER)}"
    f" + {total('nv_inference_request_failure', TOKENIZER)})"
)
INVALID = total("tribunal_invalid_requests_total")
ANSWERED = total("nv_inference_request_success", ENSEMBLE)
UNANSWERED_SHARE = f"({RECEIVED} - {INVALID} - {ANSWERED}) / {RECEIVED}"
VERDICTS = total("tribunal_verdicts_total")
FLAGGED = total("tribunal_verdicts_total", 'flagged="true"')
JUDGED = total("tribunal_judge_answers_total", 'status!="skipped"')
UNAVAILABLE = total("tribunal_judge_answers_total", 'status="unavailable"')
UNPARSED = total("tribunal_judge_answers_total", 'status="unparsed"')
JUDGE_SECONDS = "tribunal_judge_duration_seconds"

ROWS: dict[str, list[Chart]] = {
    "Now": [
        Chart("Texts", TEXTS_PER_S, {"texts": VERDICTS}, latest=True),
        Chart(
            "Flagged",
            SHARE,
            {"flagged": f"{FLAGGED} / {VERDICTS}"},
            latest=True,
        ),
        Chart(
            "p99", SECONDS, {"p99": summary("0.99", "nv_inference_request_summary_us", ENSEMBLE)}, latest=True
        ),
        Chart("Unanswered", SHARE, {"unanswered": UNANSWERED_SHARE}, latest=True),
        Chart(
            "Judge unavailable or unparsed",
            SHARE,
            {"no answer": f"({UNAVAILABLE} + {UNPARSED}) / {JUDGED}"},
            latest=True,
        ),
        Chart(
            "Weights",
            "none",
            {
                "{{member}}: {{source}} {{revision}} {{precision}}": (
                    f"max by (member, source, revision, precision) (tribunal_weights_info{{{CHOSEN}}})"
                )
            },
            "Where the weights come from. `demo` is for trying and testing alone.",
            latest=True,
            names_only=True,
        ),
    ],
    "Traffic": [
        Chart(
            "Requests",
            REQUESTS_PER_S,
            {"received": RECEIVED, "answered": ANSWERED, "refused as invalid": INVALID},
            "Received is what reached the tokenizer. What is neither answered nor refused was lost.",
        ),
        Chart(
            "Length of texts",
            BYTES,
            {
                "p50": quantile(0.5, "tribunal_text_bytes"),
                "p95": quantile(0.95, "tribunal_text_bytes"),
                "mean": f"{total('tribunal_text_bytes_sum')} / {total('tribunal_text_bytes_count')}",
            },
        ),
        Chart(
            "Windows of a text",
            "none",
            {
                "p95": quantile(0.95, "tribunal_text_windows"),
                "mean": f"{total('tribunal_text_windows_sum')} / {total('tribunal_text_windows_count')}",
            },
            "An encoder runs once for each window of up to 512 tokens.",
        ),
    ],
    "Latency": [
        Chart(
            "Whole request",
            SECONDS,
            {
                f"p{float(share) * 100:g}": summary(share, "nv_inference_request_summary_us", ENSEMBLE)
                for share in ("0.5", "0.95", "0.99")
            },
            "The slowest instance. Triton keeps these quantiles over a sliding window.",
        ),
        Chart(
            "p99 of each step's computation",
            SECONDS,
            {"{{model}}": summary("0.99", "nv_inference_compute_infer_summary_us", NOT_ENSEMBLES)},
            "Without the queue. Judge and phi3 answer after Triton's clock has stopped: see the row Judge.",
        ),
        Chart(
            "Mean of each step, queue included",
            SECONDS,
            {
                "{{model}}": f"{total('nv_inference_request_duration_us', NOT_ENSEMBLES, by='model')}"
                f" / {total('nv_inference_request_success', NOT_ENSEMBLES, by='model')} / 1e6"
            },
        ),
    ],
    "Queue": [
        Chart(
            "Mean time in the queue",
            SECONDS,
            {
                "{{model}}": f"{total('nv_inference_queue_duration_us', NOT_ENSEMBLES, by='model')}"
                f" / {total('nv_inference_request_success', NOT_ENSEMBLES, by='model')} / 1e6"
            },
            "Of each model by itself: a mean over all models hides the one that is full.",
        ),
        Chart(
            "p99 of the time in the queue",
            SECONDS,
            {"{{model}}": summary("0.99", "nv_inference_queue_summary_us", NOT_ENSEMBLES)},
        ),
        Chart(
            "Waiting requests",
            "none",
            {"{{model}}": f"sum by (model) (nv_inference_pending_request_count{{{CHOSEN},{NOT_ENSEMBLES}}})"},
        ),
    ],
    "Decisions": [
        Chart(
            "Verdicts",
            TEXTS_PER_S,
            {
                "flagged": FLAGGED,
                "not flagged": total("tribunal_verdicts_total", 'flagged="false"'),
            },
        ),
        Chart(
            "Categories flagged",
            TEXTS_PER_S,
            {"{{category}}": total("tribunal_categories_flagged_total", by="category")},
        ),
        Chart(
            "Refusals and texts cut off",
            TEXTS_PER_S,
            {
                "refusals": total("tribunal_refusals_total"),
                "cut off": total("tribunal_truncated_texts_total"),
            },
            "A refusal does not flag. A text is cut off beyond the largest number of windows.",
        ),
    ],
    "Judge": [
        Chart(
            "What became of the judge's answer",
            TEXTS_PER_S,
            {"{{status}}": total("tribunal_judge_answers_total", by="status")},
        ),
        Chart(
            "Share without an answer",
            SHARE,
            {"unavailable": f"{UNAVAILABLE} / {JUDGED}", "unparsed": f"{UNPARSED} / {JUDGED}"},
            "Of the texts that the judge was asked about.",
        ),
        Chart(
            "Time of an answer",
            SECONDS,
            {
                f"p{share * 100:g}": quantile(share, JUDGE_SECONDS, 'status="answered"')
                for share in (0.5, 0.95, 0.99)
            },
            "From asking to the answer, waiting for the engine included.",
        ),
    ],
    "Resources": [
        Chart("CPU", SHARE, {"{{instance}}": f"max by (instance) (nv_cpu_utilization{{{CHOSEN}}})"}),
        Chart(
            "Memory of the host",
            BYTES,
            {
                "{{instance}} used": f"max by (instance) (nv_cpu_memory_used_bytes{{{CHOSEN}}})",
                "{{instance}} total": f"max by (instance) (nv_cpu_memory_total_bytes{{{CHOSEN}}})",
            },
        ),
        Chart(
            "Cache hits",
            SHARE,
            {
                "{{model}}": f"{total('nv_cache_num_hits_per_model', by='model')} / "
                f"({total('nv_cache_num_hits_per_model', by='model')}"
                f" + {total('nv_cache_num_misses_per_model', by='model')})"
            },
            "Empty on a server without a cache.",
        ),
    ],
    "GPU: empty on a server without one": [
        Chart(
            "Utilisation",
            SHARE,
            {"{{instance}} {{gpu_uuid}}": f"nv_gpu_utilization{{{CHOSEN}}}"},
        ),
        Chart(
            "Memory",
            BYTES,
            {
                "{{instance}} {{gpu_uuid}} used": f"nv_gpu_memory_used_bytes{{{CHOSEN}}}",
                "{{instance}} {{gpu_uuid}} total": f"nv_gpu_memory_total_bytes{{{CHOSEN}}}",
            },
        ),
    ],
}


def panel(chart: Chart, columns: int) -> Stat | TimeSeries:
    """Grafana's panel of a chart, in a row of so many."""
    made = (
        Stat()
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .text_mode(BigValueTextMode.NAME if chart.names_only else BigValueTextMode.AUTO)
        if chart.latest
        else TimeSeries()
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .min(0)
    )
    made.title(chart.title).unit(chart.unit).datasource(DATA_SOURCE).span(WHOLE_WIDTH // columns)
    made.height(4 if chart.latest else 8)
    if chart.description:
        made.description(chart.description)
    for index, (legend, expression) in enumerate(chart.queries.items()):
        made.with_target(
            Dataquery().ref_id(chr(ord("A") + index)).expr(expression).legend_format(legend).range()
        )
    return made


def dashboard() -> str:
    """The dashboard as Grafana's JSON."""
    made = (
        Dashboard("Tribunal")
        .uid("tribunal")
        .tags(["tribunal"])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            QueryVariable("instance")
            .label("Server")
            .datasource(DATA_SOURCE)
            .query("label_values(tribunal_verdicts_total, instance)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    for title, charts in ROWS.items():
        made.with_row(Row(title))
        for chart in charts:
            made.with_panel(panel(chart, len(charts)))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard(), "utf-8")
