"""Miniature text encoders: tokenizers whose words are the captions' own, and random weights.

A random encoder is enough: it gives each caption vectors of its own, and the transformer that is
trained on them learns which go with which photograph.
"""

import json
from collections import Counter
from collections.abc import Sequence
from math import log
from string import printable

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from diffusion4k.sources.miniature.architectures import CLIP_TOKENS as TOKENS

START, END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(texts: Sequence[str], *, pad: str = END) -> CLIPTokenizer:
    """A byte-level BPE tokenizer that makes one token of each word of `texts`.

    Other words fall apart into pieces or letters. SD3's second tokenizer pads with "!".
    """
    rules = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = rules.normalizer, rules.pre_tokenizer
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters += [f"{letter}</w>" for letter in letters]
    trainer = trainers.BpeTrainer(
        vocab_size=2**14,
        min_frequency=1,
        end_of_word_suffix="</w>",
        special_tokens=letters,  # fixes their numbers: the trainer breaks ties by them
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    vocabulary = [*dict.fromkeys([*letters, *map("".join, merges)]), START, END]
    return CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(vocabulary)},
        merges=merges,
        pad_token=pad,
        model_max_length=TOKENS,
    )


def t5_tokenizer(texts: Sequence[str]) -> T5TokenizerFast:
    """A Unigram tokenizer that makes one token of each word of `texts`; ids as T5's."""
    words = Counter(word for text in texts for word in text.replace(",", " , ").split())
    total = sum(words.values())
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(f"▁{word}", log(n / total)) for word, n in sorted(words.items())]
    # letters are so improbable that a known word is never spelt
    vocabulary += [(letter, -20.0) for letter in ["▁", *sorted(printable.strip())]]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=512)


def clip_text_model(
    tokenizer: CLIPTokenizer, *, width: int, projection: bool
) -> CLIPTextModel | CLIPTextModelWithProjection:
    """A random CLIP text encoder in eval mode; with a projection to `width` as SD3 uses it."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,  # left at its default, the pooling would be another
        pad_token_id=tokenizer.pad_token_id,
        # at CLIP's own scale, made for training, a random encoder hardly tells two captions apart
        initializer_factor=2.0,
    )
    model = (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)
    return model.eval()


def t5_model(tokenizer: T5TokenizerFast, *, width: int) -> T5EncoderModel:
    """A random T5 encoder in eval mode."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=width // 4,
        d_ff=2 * width,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    return T5EncoderModel(config).eval()
