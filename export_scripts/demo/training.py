"""Settings of transformers' Trainer for every demo model: on CPU, without intermediate checkpoints."""

import sys

from transformers import TrainingArguments


def training_arguments(scratch: str, *, epochs: int, learning_rate: float, seed: int) -> TrainingArguments:
    """Arguments of the Trainer; `scratch` is a folder that it may write to."""
    return TrainingArguments(
        scratch,
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        warmup_ratio=0.1,
        weight_decay=0.05,
        per_device_train_batch_size=32,
        disable_tqdm=not sys.stderr.isatty(),
        save_strategy="no",
        report_to=[],
        seed=seed,
        use_cpu=True,
    )
