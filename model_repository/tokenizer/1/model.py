"""Triton model `tokenizer`: text -> windows of token ids, with their masks, for both encoders.

With `spans` each sentence of a text is also read by itself; `sentences` has their places.
"""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from logic.encoding import InvalidText, TextEncoder, decode_texts
from logic.normalization import normalizer
from logic.reading import Reader, places_tensor
from logic.text_metrics import Histogram
from logic.windows import TooManyWindows, WindowLimits, pad_batch
from tokenizers import Tokenizer

ENCODERS = ("rejection", "aegis")
TEXT_BYTES_BUCKETS = [64, 256, 1024, 4096, 16384, 65536]
WINDOWS_BUCKETS = [1, 2, 4, 8, 16, 32]
SENTENCES_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
REPORT_PERIOD_S = 1.0


class TritonPythonModel:
    """Each request is a batch of its own: it is padded to its longest text and fails alone."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load `<encoder>.json` of this version's folder for each encoder."""
        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value["string_value"] for name, value in parameters.items()}
        special_tokens_in_text = settings.pop("special_tokens_in_text")
        normalize = normalizer(settings.pop("normalization"))
        limits = {name: int(value) for name, value in settings.items()}
        self.max_text_bytes = limits["max_text_bytes"]
        self.pad_to_multiple_of = limits["pad_to_multiple_of"]
        folder = Path(args["model_repository"]) / args["model_version"]
        self.encoders = {
            name: TextEncoder(
                Tokenizer.from_file(str(folder / f"{name}.json")),
                max_tokens=limits["max_tokens"],
                overlap_tokens=limits["overlap_tokens"],
                max_windows=limits["max_windows"],
                special_tokens_in_text=special_tokens_in_text,
            )
            for name in ENCODERS
        }
        self.reader = Reader(
            self.encoders,
            normalize=normalize,
            max_sentences=limits["max_sentences"],
            limits=WindowLimits(limits["max_request_windows"], limits["max_padded_windows"]),
        )
        self._create_metrics()
        self.ending = threading.Event()
        self.reporter = threading.Thread(target=self._report, daemon=True)
        self.reporter.start()

    def _create_metrics(self) -> None:
        families = pb_utils.MetricFamily
        self.text_bytes = Histogram("tribunal_text_bytes", TEXT_BYTES_BUCKETS)
        self.text_windows = Histogram("tribunal_text_windows", WINDOWS_BUCKETS)
        self.text_sentences = Histogram("tribunal_text_sentences", SENTENCES_BUCKETS)
        self.histograms = {
            self.text_bytes: "Length of the texts that were read, in bytes of UTF-8.",
            self.text_windows: "Windows of up to 512 tokens in a text.",
            self.text_sentences: "Sentences in a text with spans.",
        }
        self.families = {
            name: families(name=name, description=description, kind=families.COUNTER)
            for histogram, description in self.histograms.items()
            for name in dict.fromkeys(series.counter for series in histogram.series)
        }
        self.counters = {
            series: self.families[series.counter].Metric(labels=series.labels)
            for histogram in self.histograms
            for series in histogram.series
        }
        self.invalid_family = families(
            name="tribunal_invalid_requests_total",
            description="Requests refused as invalid, by the invalid input.",
            kind=families.COUNTER,
        )
        self.invalid_texts = self.invalid_family.Metric(labels={"input": "text"})

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request, or refuse it with INVALID_ARG if its texts break a limit."""
        return [self._encode(request) for request in requests]

    def finalize(self) -> None:
        """Stop counting."""
        self.ending.set()
        self.reporter.join()

    def _report(self) -> None:
        while not self.ending.wait(REPORT_PERIOD_S):
            for histogram in self.histograms:
                for series, count in histogram.take().items():
                    try:
                        self.counters[series].increment(count)
                    except Exception as error:  # noqa: BLE001 - the thread that reports must go on
                        pb_utils.Logger.log_warn(f"tokenizer: {series} was not counted: {error!r}")

    def _encode(self, request: Any) -> Any:
        raw = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
        try:
            texts = decode_texts(raw, self.max_text_bytes)
            readings = self.reader.read(texts, _spans(request, len(texts)))
        except (InvalidText, TooManyWindows) as error:
            self.invalid_texts.increment(1)
            refusal = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=refusal)
        outputs = []
        for name, encoder in self.encoders.items():
            rows = [reading.windows[name] for reading in readings]
            input_ids, attention_mask = pad_batch(
                rows, pad_id=encoder.pad_id, pad_to_multiple_of=self.pad_to_multiple_of
            )
            counts = np.array([[len(row)] for row in rows], dtype=np.int32)
            outputs.append(pb_utils.Tensor(f"{name}_input_ids", input_ids))
            outputs.append(pb_utils.Tensor(f"{name}_attention_mask", attention_mask))
            outputs.append(pb_utils.Tensor(f"{name}_windows", counts))
        windows = np.array([[reading.text_windows] for reading in readings], dtype=np.int32)
        truncated = np.array([[reading.truncated] for reading in readings], dtype=np.bool_)
        self.text_bytes.observe(map(len, raw[:, 0]))
        self.text_windows.observe(windows[:, 0].tolist())
        self.text_sentences.observe(len(reading.sentences) for reading in readings if reading.sentences)
        outputs.append(pb_utils.Tensor("windows", windows))
        outputs.append(pb_utils.Tensor("truncated", truncated))
        outputs.append(pb_utils.Tensor("sentences", places_tensor(readings)))
        return pb_utils.InferenceResponse(outputs)


def _spans(request: Any, batch: int) -> list[bool]:
    """Whether each text's spans are requested."""
    tensor = pb_utils.get_input_tensor_by_name(request, "spans")
    spans: list[bool] = [False] * batch if tensor is None else tensor.as_numpy()[:, 0].tolist()
    return spans
