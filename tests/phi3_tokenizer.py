"""A tokenizer with the peculiarities of microsoft/Phi-3-mini-4k-instruct, on the demo judge's vocabulary."""

import json
import shutil
from pathlib import Path

from export_scripts.sources import DEMO_WEIGHTS

# The template before July 2024: https://github.com/ggml-org/llama.cpp, tests/test-chat-template.cpp.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + "
    "message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif (message['role'] == "
    "'assistant') %}{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}"
)
# The template since July 2024, without <s>.
LATER_TEMPLATE = (
    "{% for message in messages %}{{'<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
)


def write_phi3_tokenizer(folder: Path, template: str = TEMPLATE) -> Path:
    """Create `folder` and write the tokenizer to it; returns `folder`.

    The tokenizer adds <s>, its `</s>` is an added token that is not marked special, and the card's words are
    ordinary tokens, not a single one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    demo = DEMO_WEIGHTS / "judge"
    shutil.copy(demo / "special_tokens_map.json", folder)
    tokenizer = json.loads((demo / "tokenizer.json").read_text("utf-8"))
    tokenizer["added_tokens"] = [token for token in tokenizer["added_tokens"] if len(token["content"]) < 50]
    for token in tokenizer["added_tokens"]:
        if token["content"] == "</s>":
            token.update(special=False, rstrip=True)
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [bos, sequence],
        "pair": [bos, sequence, sequence],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    config = json.loads((demo / "tokenizer_config.json").read_text("utf-8"))
    config["added_tokens_decoder"] = {
        str(token["id"]): {name: value for name, value in token.items() if name != "id"}
        for token in tokenizer["added_tokens"]
    }
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder
